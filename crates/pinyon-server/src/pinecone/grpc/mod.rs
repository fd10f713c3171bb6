//! The data plane over gRPC: the same operations as over REST, in other shapes.

mod guard;
mod shapes;

pub(crate) use guard::{guard, nothing_there};

use super::{
    data::Named,
    envelope::{RpcCode, RpcError},
    namespaces, operations,
    position::Position,
    version::{ApiVersion, VERSION_HEADER},
};
use crate::http::COMPRESSED_BYTES_MIN;
use pinyon_core::Index;
use pinyon_wire::{
    grpc::{
        self, CreateNamespaceRequest, DeleteNamespaceRequest, DescribeIndexStatsRequest,
        DescribeIndexStatsResponse, DescribeNamespaceRequest, FetchByMetadataResponse, FetchResponse,
        ListNamespacesRequest, ListNamespacesResponse, ListResponse, NamespaceDescription, QueryResponse,
        UpdateResponse, UpsertResponse,
        vector_service_server::{VectorService, VectorServiceServer},
    },
    vectors,
};
use prost::Message;
use std::{collections::HashMap, sync::Arc};
use tonic::{Request, Response, Status, codec::CompressionEncoding, metadata::MetadataValue};

/// Largest request: as over REST, and counted after decompression.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Answers of more bytes are sent as they are: tonic compresses on the connection's thread, where others would wait.
const COMPRESSED_BYTES_MAX: usize = 1 << 20;

/// The service of one index.
#[derive(Debug, Clone)]
pub(crate) struct Service(Named);

/// The service of an index, to be mounted at `/VectorService/`.
pub(crate) fn service(named: Named) -> VectorServiceServer<Service> {
    VectorServiceServer::new(Service(named))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
}

impl Service {
    fn index(&self) -> Result<Arc<Index>, RpcError> {
        let missing = || RpcError::new(RpcCode::NotFound, format!("Index {} not found.", self.0.index));
        self.0.app.indexes().get(&self.0.index).ok_or_else(missing)
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        Self::new(tonic::Code::from(error.code as i32), error.message)
    }
}

/// The API version that a call asks for.
fn version<T>(request: &Request<T>) -> ApiVersion {
    ApiVersion::named(request.metadata().get(VERSION_HEADER).and_then(|value| value.to_str().ok()))
}

type Answered<T> = Result<Response<T>, Status>;

/// An answer that is compressed if that is worth it and the client takes it.
fn plain<T: Message>(body: T) -> Response<T> {
    let bytes = body.encoded_len();
    let mut response = Response::new(body);
    if !(COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&bytes) {
        response.disable_compression();
    }
    response
}

/// An answer with the log position that it wrote or saw.
fn answer<T: Message>(body: T, position: Position) -> Response<T> {
    let mut response = plain(body);
    if let Some((name, value)) = position.header()
        && let Ok(name) = tonic::metadata::MetadataKey::from_bytes(name.as_str().as_bytes())
        && let Ok(value) = MetadataValue::try_from(value.as_bytes())
    {
        response.metadata_mut().insert(name, value);
    }
    response
}

#[tonic::async_trait]
impl VectorService for Service {
    async fn upsert(&self, request: Request<grpc::UpsertRequest>) -> Answered<UpsertResponse> {
        let version = version(&request);
        let grpc::UpsertRequest { vectors, namespace } = request.into_inner();
        let body =
            vectors::UpsertRequest { vectors: vectors.into_iter().map(shapes::vector).collect(), namespace };
        let (done, position) = operations::upsert(&self.0.app, self.index()?, body, version).await?;
        Ok(answer(UpsertResponse { upserted_count: done.upserted_count }, position))
    }

    async fn delete(&self, request: Request<grpc::DeleteRequest>) -> Answered<grpc::DeleteResponse> {
        let grpc::DeleteRequest { ids, delete_all, namespace, filter } = request.into_inner();
        let filter = filter.map(shapes::json);
        let body = vectors::DeleteRequest { ids, delete_all, filter, namespace };
        let (_, position) = operations::delete(&self.0.app, self.index()?, body).await?;
        Ok(answer(grpc::DeleteResponse {}, position))
    }

    async fn fetch(&self, request: Request<grpc::FetchRequest>) -> Answered<FetchResponse> {
        let grpc::FetchRequest { ids, namespace } = request.into_inner();
        let body = vectors::FetchRequest { ids, namespace };
        let (done, position) = operations::fetch(&self.0.app, self.index()?, body).await?;
        let vectors = shapes::records(done.vectors);
        Ok(answer(FetchResponse { vectors, namespace: done.namespace, usage: shapes::usage() }, position))
    }

    async fn fetch_by_metadata(
        &self,
        request: Request<grpc::FetchByMetadataRequest>,
    ) -> Answered<FetchByMetadataResponse> {
        let grpc::FetchByMetadataRequest { namespace, filter, limit, pagination_token } =
            request.into_inner();
        let (filter, limit) = (filter.map(shapes::json), limit.map(i64::from));
        let body = vectors::FetchByMetadataRequest { filter, namespace, limit, pagination_token };
        let (done, position) = operations::fetch_by_metadata(&self.0.app, self.index()?, body).await?;
        let response = FetchByMetadataResponse {
            vectors: shapes::records(done.vectors),
            namespace: done.namespace,
            usage: shapes::usage(),
            pagination: shapes::pagination(done.pagination),
        };
        Ok(answer(response, position))
    }

    async fn list(&self, request: Request<grpc::ListRequest>) -> Answered<ListResponse> {
        let grpc::ListRequest { prefix, limit, pagination_token, namespace } = request.into_inner();
        let (prefix, limit) = (prefix.unwrap_or_default(), limit.map(i64::from));
        let body = vectors::ListRequest { prefix, limit, pagination_token, namespace };
        let (done, position) = operations::list(&self.0.app, self.index()?, body).await?;
        let response = ListResponse {
            vectors: done.vectors.into_iter().map(|item| grpc::ListItem { id: item.id }).collect(),
            pagination: shapes::pagination(done.pagination),
            namespace: done.namespace,
            usage: shapes::usage(),
        };
        Ok(answer(response, position))
    }

    async fn query(&self, request: Request<grpc::QueryRequest>) -> Answered<QueryResponse> {
        let body = shapes::query(request.into_inner())?;
        let (done, position) = operations::query(&self.0.app, self.index()?, body).await?;
        let matches = done.matches.into_iter().map(shapes::scored).collect();
        #[allow(deprecated)] // the field is part of the message
        let response =
            QueryResponse { results: Vec::new(), matches, namespace: done.namespace, usage: shapes::usage() };
        Ok(answer(response, position))
    }

    async fn update(&self, request: Request<grpc::UpdateRequest>) -> Answered<UpdateResponse> {
        let version = version(&request);
        let body = shapes::update(request.into_inner());
        let (done, position) = operations::update(&self.0.app, self.index()?, body, version).await?;
        let matched_records = done.matched_records.map(|records| i32::try_from(records).unwrap_or(i32::MAX));
        Ok(answer(UpdateResponse { matched_records }, position))
    }

    async fn describe_index_stats(
        &self,
        request: Request<DescribeIndexStatsRequest>,
    ) -> Answered<DescribeIndexStatsResponse> {
        let version = version(&request);
        let body = vectors::StatsRequest { filter: request.into_inner().filter.map(shapes::json) };
        let (done, position) = operations::stats(&self.0.app, self.index()?, body, version).await?;
        Ok(answer(shapes::stats(done), position))
    }

    async fn list_namespaces(
        &self,
        request: Request<ListNamespacesRequest>,
    ) -> Answered<ListNamespacesResponse> {
        let ListNamespacesRequest { pagination_token, limit, prefix } = request.into_inner();
        let wanted = namespaces::Wanted {
            prefix: prefix.unwrap_or_default(),
            // Go sends 0 for "as many as there are on a page".
            limit: limit.filter(|limit| *limit > 0).map(i64::from),
            token: pagination_token,
        };
        let index = self.index()?;
        let position = Position::of_all(&index);
        let page = namespaces::page(&self.0.app, index, wanted).await?;
        let response = ListNamespacesResponse {
            namespaces: page.namespaces.into_iter().map(shapes::namespace).collect(),
            pagination: page.next.map(|next| grpc::Pagination { next }),
            total_count: Some(i32::try_from(page.total).unwrap_or(i32::MAX)),
        };
        Ok(answer(response, position))
    }

    async fn describe_namespace(
        &self,
        request: Request<DescribeNamespaceRequest>,
    ) -> Answered<NamespaceDescription> {
        let found = namespaces::find(&self.0.app, self.index()?, &request.into_inner().namespace).await?;
        Ok(plain(shapes::namespace(found)))
    }

    async fn delete_namespace(
        &self,
        request: Request<DeleteNamespaceRequest>,
    ) -> Answered<grpc::DeleteResponse> {
        namespaces::drop_one(&self.0.app, self.index()?, &request.into_inner().namespace).await?;
        Ok(plain(grpc::DeleteResponse {}))
    }

    async fn create_namespace(
        &self,
        request: Request<CreateNamespaceRequest>,
    ) -> Answered<NamespaceDescription> {
        let CreateNamespaceRequest { name, schema } = request.into_inner();
        let field = |(name, field): (String, grpc::MetadataFieldProperties)| {
            (name, vectors::SchemaField { filterable: field.filterable })
        };
        let fields = |fields: HashMap<_, _>| fields.into_iter().map(field).collect();
        let schema = schema.map(|schema| vectors::MetadataSchema { fields: fields(schema.fields) });
        let body = vectors::CreateNamespaceRequest { name, schema };
        let made = namespaces::make(&self.0.app, self.index()?, body).await?;
        Ok(plain(shapes::namespace(made)))
    }
}
