//! What the OpenAPI document says of moves.

use pinyon_wire::{moves, tenant};

operation!(
    begin_move,
    post,
    "/admin/v1/moves",
    "Begin to move a tenant to another shard; it is read and written meanwhile. Durable when answered",
    request_body = moves::MoveRequest,
    responses(
        (status = 202, body = moves::MoveInfo),
        (status = 400, body = tenant::ErrorBody),
        (status = 404, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody)
    )
);
operation!(
    list_moves,
    get,
    "/admin/v1/moves",
    "The moves that have not ended, and those that ended not long ago",
    params(("index" = Option<String>, Query, description = "Those of this index; of all if none is named")),
    responses((status = 200, body = moves::MoveList), (status = 404, body = tenant::ErrorBody))
);
operation!(
    show_move,
    get,
    "/admin/v1/moves/{id}",
    "One move",
    params(("id" = String, Path)),
    responses((status = 200, body = moves::MoveInfo), (status = 404, body = tenant::ErrorBody))
);
operation!(
    abort_move,
    delete,
    "/admin/v1/moves/{id}",
    "Turn a move back that has not switched: the tenant stays where it is. Durable when answered",
    params(("id" = String, Path)),
    responses(
        (status = 202, body = moves::MoveInfo),
        (status = 404, body = tenant::ErrorBody),
        (status = 409, body = tenant::ErrorBody)
    )
);
