"""What the fuzzer holds every answer against."""

import schemathesis

NOT_YET = "not supported by this server yet"


@schemathesis.check
def no_server_error(context, response, case):
    """5xx tells of a fault of the server, but for what is said to be missing."""
    if response.status_code == 501:
        assert NOT_YET in response.text, f"an undocumented 501: {response.text}"
        return
    assert response.status_code < 500, f"{response.status_code}: {response.text}"


@schemathesis.check
def errors_have_an_envelope(context, response, case):
    """Every refusal of a route is one of the two envelopes, with a message."""
    if response.status_code in (400, 403, 404, 409, 413, 415, 422, 429):
        body = response.json()
        message = body.get("message") or body.get("error", {}).get("message")
        assert message, f"no message: {response.text}"
