//! A server that stops beside clients of every kind.

use super::*;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// The farewell, and time for a machine that does other things too.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// The handler of `/late`: says that it runs, and answers when it is told to.
#[derive(Debug, Default)]
struct Late {
    begun: Notify,
    finish: Notify,
}

/// A server with room for many, and the task that serves it.
async fn start_task(door: Door) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    start_with(door, Arc::default()).await
}

async fn start_with(
    door: Door,
    late: Arc<Late>,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let late = move || async move {
        late.begun.notify_one();
        late.finish.notified().await;
        "late"
    };
    let router = Router::new().route("/", get(|| async { "good" })).route("/late", get(late));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve_connections(listener, service(door, router), async {
        let _ = stopped.await;
        LIMITS.farewell_time_max
    });
    (address, stop, tokio::spawn(serving))
}

fn wide_door() -> Door {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = SocketSettings { connections_max: Some(200), ..SocketSettings::default() };
    let limits = Limits { header_time_max: PATIENCE, first_head_time_max: PATIENCE, ..LIMITS };
    let limits = Limits { first_bytes_time_max: PATIENCE, new_idle_time_max: PATIENCE, ..limits };
    Door { limits, sockets: Arc::new(Sockets::new(settings, None, &listener)), ..door() }
}

/// Asks over one connection until an answer says that it is the last; `begun` gets a permit with the first answer. Returns
/// whether no request was left without an answer.
async fn ask_until_closed(address: SocketAddr, pause: Duration, begun: Arc<Semaphore>) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for answered in 0.. {
        if stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_err() {
            return false;
        }
        let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"good") {
            let read = stream.read(&mut piece).await.unwrap_or(0);
            if read == 0 {
                return false;
            }
            answer.extend(&piece[..read]);
        }
        if String::from_utf8_lossy(&answer).contains("connection: close") {
            return true;
        }
        begun.add_permits(usize::from(answered == 0));
        // Clients think, each for another time, so that the stop meets them in every state.
        tokio::time::sleep(pause).await;
    }
    false
}

#[tokio::test]
async fn requests_on_kept_connections_are_answered_and_their_answers_close_them() {
    let (address, stop, serving) = start_task(wide_door()).await;
    let pause = |number: u64| Duration::from_millis(number % 10 * 2);
    let begun = Arc::new(Semaphore::new(0));
    let client = |number| tokio::spawn(ask_until_closed(address, pause(number), Arc::clone(&begun)));
    let clients: Vec<_> = (0..120).map(client).collect();
    drop(timeout(PATIENCE, begun.acquire_many(120)).await.unwrap().unwrap());
    drop(stop);
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    let mut unanswered = 0;
    for client in clients {
        unanswered += usize::from(!timeout(PATIENCE, client).await.unwrap().unwrap());
    }
    assert_eq!(unanswered, 0, "of 120 clients");
}

#[tokio::test]
async fn silent_connections_do_not_keep_a_server_from_stopping() {
    let (address, stop, serving) = start_task(wide_door()).await;
    let beginnings: [&[u8]; 5] = [
        b"",
        b"PRI * HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nx",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ];
    let mut silent = Vec::new();
    for beginning in beginnings {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        silent.push(stream);
    }
    assert!(is_served(address).await);
    let began = Instant::now();
    drop(stop);
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(began.elapsed() < STOP_TIME_MAX, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_running_request_is_answered_by_a_server_that_stops() {
    let late = Arc::<Late>::default();
    let (address, stop, serving) = start_with(wide_door(), Arc::clone(&late)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /late HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    timeout(PATIENCE, late.begun.notified()).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    drop(stop);
    // A silent connection ends with the farewell: by then the other one has heard of the stop.
    assert_eq!(timeout(PATIENCE, idle.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    late.finish.notify_one();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("late") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn http2_is_told_goaway_and_its_running_requests_are_answered() {
    let late = Arc::<Late>::default();
    let (address, stop, serving) = start_with(wide_door(), Arc::clone(&late)).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| hyper::Request::get(format!("http://localhost{path}")).body(()).unwrap();
    let (response, _) = client.send_request(request("/late"), true).unwrap();
    timeout(PATIENCE, late.begun.notified()).await.unwrap();
    drop(stop);
    late.finish.notify_one();
    let mut body = timeout(PATIENCE, response).await.unwrap().unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "late");
    timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}
