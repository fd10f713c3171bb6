//! gzip: request bodies that come compressed, answers for clients that ask for it. A request that says nothing of either costs
//! two look-ups of a header.

use super::{
    App,
    arriving::make_room,
    gate::Refused,
    sending::{Unpaid, paid},
};
use crate::ApiError;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use http_body_util::BodyExt;
use std::io::{Read, Write};

/// Answers shorter than this are sent as they are: they fit into one packet either way.
pub(crate) const COMPRESSED_BYTES_MIN: usize = 1_400;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// How a request's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// Reads `Content-Encoding`.
    ///
    /// # Errors
    /// An encoding that is not known, or several.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut given = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = given.next() else { return Ok(Self::Plain) };
        let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match (name.as_str(), given.next()) {
            ("" | "identity", None) => Ok(Self::Plain),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip),
            _ => {
                let message = format!(
                    "Content-Encoding {value:?} is not supported: send the body as gzip, or without the header as it is"
                );
                Err(ApiError::new(415, "UNSUPPORTED_MEDIA_TYPE", message))
            }
        }
    }
}

/// Bytes that are decompressed at once.
const PIECE_BYTES: u64 = 64 << 10;

/// Decompresses a body; memory is taken for what comes out, up to `bytes_max`, and each piece of it is charged.
///
/// # Errors
/// Bytes that are no gzip, or stand for more; a piece that is not let in.
pub(super) fn gunzip(
    bytes: &[u8],
    bytes_max: usize,
    charge: impl Fn(usize) -> Result<(), Refused>,
) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes);
    loop {
        make_room(&mut plain, PIECE_BYTES as usize, bytes_max);
        let read = (&mut decoder).take(PIECE_BYTES).read_to_end(&mut plain).map_err(|error| {
            let message = format!("the body is not gzip, which Content-Encoding says it is: {error}");
            ApiError::new(400, "INVALID_ARGUMENT", message)
        })?;
        if read == 0 {
            return Ok(plain.into());
        }
        if plain.len() > bytes_max {
            return Err(ApiError::too_large(bytes_max));
        }
        charge(read)?;
    }
}

/// Whether an answer may be gzip: `Accept-Encoding` names it, or everything, and not with a weight of zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items = given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut any = false;
    for item in items {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        let is_wanted = weight.is_some_and(|weight| weight > 0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => any = is_wanted,
            _ => {}
        }
    }
    any
}

/// Compresses answers for clients that ask for it, and has long ones paid for until they are sent. gRPC has an encoding of
/// its own, inside its frames.
pub(super) async fn compress(State(app): State<App>, request: Request, next: Next) -> Response {
    let wants = request.method() != Method::HEAD && accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    let unpaid = response.extensions_mut().remove::<Unpaid>();
    if wants && is_worth_it(&response) {
        response = compressed(&app, response).await;
    }
    match unpaid {
        Some(unpaid) => response.map(|body| paid(body, unpaid, app.limits().unread_time_max)),
        None => response,
    }
}

async fn compressed(app: &App, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The answers that are long enough are whole already: nothing is waited for.
    let Ok(plain) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::from_parts(parts, Body::empty());
    };
    let kept = plain.clone();
    let Ok(Ok(compressed)) = app.transform(plain.len(), move || gzip(&plain)).await else {
        return Response::from_parts(parts, Body::from(kept));
    };
    parts.headers.insert(header::CONTENT_ENCODING, GZIP);
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(compressed))
}

/// Whether a body is known whole, long enough, and not encoded yet.
fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let bytes = response.body().size_hint().exact().unwrap_or_default();
    bytes >= COMPRESSED_BYTES_MIN as u64
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !kind.starts_with(b"application/grpc")
}

/// Fast rather than small: digits of vectors shrink to a half at any level.
fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn bodies_come_back_as_they_were_in_one_member_or_several() {
        let text = "digits 0.123,".repeat(1_000);
        let (whole, half) = (gzip(text.as_bytes()).unwrap(), gzip(b"tail").unwrap());
        assert!(whole.len() < text.len() / 4);
        assert_eq!(gunzip(&whole, text.len(), free).unwrap(), text.as_bytes());
        assert_eq!(gunzip(&[whole, half].concat(), 1 << 20, free).unwrap(), format!("{text}tail").as_bytes());
    }

    const fn free(_: usize) -> Result<(), Refused> {
        Ok(())
    }

    #[test]
    fn what_comes_out_is_charged_and_stops_where_there_is_no_room() {
        let (bomb, charged) = (gzip(&vec![0; 1 << 20]).unwrap(), std::cell::Cell::new(0));
        let charge = |bytes| {
            charged.set(charged.get() + bytes);
            if charged.get() > 200_000 { Err(Refused::NoBytes) } else { Ok(()) }
        };
        assert_eq!(gunzip(&bomb, 1 << 20, charge).unwrap_err().status, 429);
        assert!(charged.get() < 300_000, "{}", charged.get());
    }

    #[test]
    fn bombs_and_broken_bodies_are_refused() {
        let bomb = gzip(&vec![0; 1 << 20]).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(gunzip(&bomb, (1 << 20) - 1, free).unwrap_err().status, 413);
        assert_eq!(gunzip(&bomb, 1 << 20, free).unwrap().len(), 1 << 20);
        for broken in
            [b"{}".as_slice(), &bomb[..bomb.len() - 3], &bomb[..5], &[bomb.as_slice(), b"x"].concat()]
        {
            assert_eq!(gunzip(broken, 1 << 21, free).unwrap_err().status, 400);
        }
    }

    #[test]
    fn encodings_are_known_by_name() {
        let of =
            |values: &[&str]| Encoding::of(&headers(header::CONTENT_ENCODING, values)).map_err(|e| e.status);
        assert_eq!(
            (of(&[]), of(&["identity"]), of(&["GZIP"])),
            (Ok(Encoding::Plain), Ok(Encoding::Plain), Ok(Encoding::Gzip))
        );
        for unknown in [["br"].as_slice(), &["deflate"], &["gzip, gzip"], &["gzip", "gzip"], &["zstd"]] {
            assert_eq!(of(unknown), Err(415), "{unknown:?}");
        }
    }

    #[test]
    fn who_asks_for_gzip_is_heard() {
        let accepts = |values: &[&str]| accepts_gzip(&headers(header::ACCEPT_ENCODING, values));
        for yes in [
            ["gzip"].as_slice(),
            &["gzip, deflate, br"],
            &["br", "x-gzip;q=0.5"],
            &["*"],
            &["identity;q=0, *;q=1"],
        ] {
            assert!(accepts(yes), "{yes:?}");
        }
        for no in [
            [].as_slice(),
            &["identity"],
            &["gzip;q=0"],
            &["*, gzip;q=0"],
            &["deflate, br"],
            &["gzip;q=x"],
            &[""],
        ] {
            assert!(!accepts(no), "{no:?}");
        }
    }
}
