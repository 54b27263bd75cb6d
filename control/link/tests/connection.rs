//! Two peers on loopback.

use std::time::Duration;

use longhaul_link::{Authority, Connection, Identity, LinkError, Role};
use tempfile::{TempDir, tempdir};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(5);

struct Bed {
    dir: TempDir,
    authority: Authority,
}

impl Bed {
    fn new() -> Bed {
        let dir = tempdir().expect("a folder");
        let authority = Authority::create(&dir.path().join("ca")).expect("made");
        Bed { dir, authority }
    }

    fn identity(&self, folder: &str, role: &Role) -> Identity {
        let out = self.dir.path().join(folder);
        self.authority.issue(role, 1, &out).expect("issued");
        Identity::load(&out).expect("loaded")
    }
}

fn node() -> Role {
    Role::Node("db1".parse().expect("a name"))
}

/// What server and client have of each other.
async fn meet(
    server: &Identity,
    client: &Identity,
) -> (Result<Connection, LinkError>, Result<Connection, LinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let accept = async {
        let (stream, _) = listener.accept().await.expect("a peer");
        Connection::accept(server, stream).await
    };
    tokio::join!(accept, Connection::connect(client, &address))
}

#[tokio::test]
async fn peers_learn_each_others_roles_and_messages_go_both_ways() {
    let bed = Bed::new();
    let server = bed.identity("c", &Role::Coordinator);
    let client = bed.identity("n", &node());
    let (server, client) = meet(&server, &client).await;
    let (server, client) = (server.expect("met"), client.expect("met"));
    assert_eq!(
        (server.peer(), client.peer()),
        (&node(), &Role::Coordinator)
    );

    let (mut server_reads, server_writes, answers) = server.split::<String>();
    let (mut client_reads, client_writes, asks) = client.split::<String>();
    let writers = tokio::spawn(async { tokio::join!(server_writes.run(), client_writes.run()) });
    let long = "x".repeat(1 << 19);
    for ask in ["a", &long, ""] {
        asks.say(ask.to_owned()).expect("said");
        let heard: Option<String> = server_reads.message(PATIENCE).await.expect("heard");
        answers
            .say(format!("{}!", heard.expect("a message")))
            .expect("said");
        let answer: Option<String> = client_reads.message(PATIENCE).await.expect("heard");
        assert_eq!(answer, Some(format!("{ask}!")));
    }
    answers
        .carrier()
        .carry("a piece".to_owned())
        .await
        .expect("carried");
    let piece: Option<String> = client_reads.message(PATIENCE).await.expect("heard");
    assert_eq!(piece.as_deref(), Some("a piece"));
    // What is said before the outbox goes is written; then the peer is told.
    answers.say("bye".to_owned()).expect("said");
    drop((answers, asks));
    let last: Option<String> = client_reads.message(PATIENCE).await.expect("heard");
    assert_eq!(last.as_deref(), Some("bye"));
    assert_eq!(
        client_reads
            .message::<String>(PATIENCE)
            .await
            .expect("over"),
        None
    );
    let (server, client) = writers.await.expect("written");
    server.and(client).expect("orderly");
}

#[tokio::test]
async fn nobody_but_the_coordinator_is_taken_for_it() {
    let bed = Bed::new();
    let server = bed.identity("n1", &node());
    let client = bed.identity("n2", &node());
    let (_, client) = meet(&server, &client).await;
    let error = client.expect_err("refused").to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused_on_both_sides() {
    let (ours, theirs) = (Bed::new(), Bed::new());
    let server = ours.identity("c", &Role::Coordinator);
    let client = theirs.identity("n", &node());
    let (_, refused) = meet(&server, &client).await;
    let error = refused.expect_err("refused").to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");

    // One that trusts ours, and has no certificate of it.
    let mixed = theirs.dir.path().join("n");
    std::fs::copy(ours.dir.path().join("ca/ca.pem"), mixed.join("ca.pem")).expect("copied");
    let client = Identity::load(&mixed).expect("loaded");
    let (refused, _) = meet(&server, &client).await;
    let error = refused.expect_err("refused").to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_never_agrees_is_not_waited_for() {
    let bed = Bed::new();
    let identity = bed.identity("c", &Role::Coordinator);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let _silent = TcpStream::connect(address).await.expect("connected");
    let (stream, _) = listener.accept().await.expect("a peer");
    let error = Connection::accept(&identity, stream)
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("did not agree within 5 s"),
        "{error}"
    );
}

#[tokio::test]
async fn silence_a_half_message_and_garbage_end_a_connection() {
    let bed = Bed::new();
    let server = bed.identity("c", &Role::Coordinator);
    let client = bed.identity("n", &node());
    let short = Duration::from_millis(50);

    let (a, _b) = meet(&server, &client).await;
    let (mut reads, _writer, _outbox) = a.expect("met").split::<()>();
    let silent = reads.message::<String>(short).await;
    assert!(matches!(silent, Err(LinkError::Silent(_))));

    // A client that says what it likes.
    let raw = |bytes: &'static [u8]| {
        let (server, client) = (&server, &client);
        async move {
            let (a, b) = meet(server, client).await;
            let mut stream = b.expect("met").into_stream();
            stream.write_all(bytes).await.expect("written");
            stream.shutdown().await.expect("ended");
            let (mut reads, _writer, _outbox) = a.expect("met").split::<()>();
            reads.message::<String>(PATIENCE).await
        }
    };
    assert!(matches!(raw(b"").await, Ok(None)));
    assert!(matches!(
        raw(&[0, 0, 0, 9, b'"']).await,
        Err(LinkError::Cut)
    ));
    assert!(matches!(
        raw(b"GET / HTTP/1.1\r\n\r\n").await,
        Err(LinkError::Frame(_))
    ));
    assert!(matches!(
        raw(&[0, 0, 0, 1, b'x']).await,
        Err(LinkError::Frame(_))
    ));
    let gigabyte = &[0x40, 0, 0, 0, 0, 0, 0, 0];
    assert!(matches!(raw(gigabyte).await, Err(LinkError::Frame(_))));
}

#[tokio::test]
async fn half_a_message_is_waited_for_only_so_long() {
    let bed = Bed::new();
    let server = bed.identity("c", &Role::Coordinator);
    let client = bed.identity("n", &node());
    let (a, b) = meet(&server, &client).await;
    let mut stream = b.expect("met").into_stream();
    stream
        .write_all(&[0, 0, 0, 9, b'"'])
        .await
        .expect("written");
    stream.flush().await.expect("written");
    let (mut reads, _writer, _outbox) = a.expect("met").split::<()>();
    // The bytes are there before the clock stands still.
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    let half = reads.message::<String>(Duration::from_secs(3600)).await;
    assert!(matches!(half, Err(LinkError::Half)), "{half:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let bed = Bed::new();
    let server = bed.identity("c", &Role::Coordinator);
    let client = bed.identity("n", &node());
    let (a, _b) = meet(&server, &client).await;
    let (_reads, writer, outbox) = a.expect("met").split::<String>();
    let writer = tokio::spawn(writer.run());
    let long = "x".repeat(1 << 19);
    let mut said = 0;
    while outbox.say(long.clone()).is_ok() {
        said += 1;
        assert!(said < 2000, "it is never full");
        tokio::task::yield_now().await;
    }
    assert!(matches!(outbox.say(long), Err(LinkError::Unread)));
    tokio::time::pause();
    let given_up = writer.await.expect("ended");
    assert!(matches!(given_up, Err(LinkError::Unread)), "{given_up:?}");
}
