//! Peers that are refused, while a service goes on being answered.

use std::fs;
use std::time::Duration;

use longhaul_link::{Connection, Role};
use longhaul_protocol::frame::encode;
use longhaul_protocol::order::What;
use longhaul_protocol::run::Epoch;
use longhaul_protocol::{Hello, Report, Time};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::bed::{Bed, PATIENCE, Peer, Service, name, shows};

/// Waits for the end of a connection, from this side.
async fn until_over(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut sink = [0; 4096];
    let over = async { while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {} };
    timeout(PATIENCE, over).await.expect("it is closed");
}

/// A connection of a good certificate, on which these bytes are said.
async fn says(bed: &Bed, node: &str, bytes: &[u8], is_over: bool) -> Peer {
    let (mut stream, peer) = bed.raw(node).await;
    // It may be closed while this is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    if is_over {
        let _ = stream.shutdown().await;
    }
    until_over(&mut stream).await;
    peer
}

/// One that has connected without TLS, says this, and waits.
async fn says_plainly(bed: &Bed, bytes: &[u8]) -> Peer {
    let (mut stream, peer) = Peer::connect(bed.address).await;
    let _ = stream.write_all(bytes).await;
    until_over(&mut stream).await;
    peer
}

/// Certificates that `lh-control` would not issue: how it differs, and its folder.
fn forged(
    bed: &Bed,
    folder: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> std::path::PathBuf {
    let read = |path: &str| fs::read_to_string(bed.dir.path().join(path)).expect("a file");
    let key = KeyPair::from_pem(&read("ca/ca.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("ca/ca.pem"), key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    let uri = format!("longhaul://{}/node/db1", bed.cluster);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("a URI"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let out = bed.dir.path().join(folder);
    fs::create_dir(&out).expect("a folder");
    fs::write(out.join("cert.pem"), certificate.pem()).expect("written");
    fs::write(out.join("key.pem"), key.serialize_pem()).expect("written");
    out
}

fn uri(text: &str) -> Vec<SanType> {
    vec![SanType::URI(text.try_into().expect("a URI"))]
}

fn framed(report: &Report) -> Vec<u8> {
    encode(report).expect("a message")
}

fn changed(bed: &Bed, change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let mut hello = bed.hello("db1");
    change(&mut hello);
    framed(&Report::Hello(hello))
}

/// A service that checkpoints all the time while `others` is done.
async fn meanwhile<T>(service: &mut Service, others: impl Future<Output = T>) -> T {
    let works = async {
        let mut kept = 0;
        loop {
            let now = timeout(Duration::from_secs(4), service.checkpoint(100)).await;
            let now = now.expect("a service is answered at once");
            assert!(now > kept, "{now} is kept, and {kept} was");
            kept = now;
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        never = works => never,
        done = others => done,
    }
}

/// All lines of the log of a peer that was refused: one, with the reason.
async fn one_line(peer: &Peer, why: &str) {
    let lines = peer.warned().await;
    let warnings: Vec<_> = lines.iter().filter(|l| l.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(warnings[0].contains(why), "{} has no {why:?}", warnings[0]);
}

#[tokio::test]
async fn who_has_no_certificate_of_the_cluster_is_refused_with_a_line() {
    let bed = Bed::new(&["good", "db1"]);
    let other = Bed::new(&[]);
    let mut good = bed.service("good").await;
    let ca = bed.dir.path().join("ca/ca.pem");
    let day = Duration::from_secs(86_400);
    let expired = forged(&bed, "expired", |params| {
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    });
    let early = forged(&bed, "early", |params| {
        params.not_before = rcgen::date_time_ymd(2400, 1, 1) + day;
    });
    let no_role = forged(&bed, "no-role", |params| params.subject_alt_names.clear());
    let strange = forged(&bed, "strange", |params| {
        params.subject_alt_names = uri("longhaul://x/node/db1");
    });
    let elsewhere = forged(&bed, "elsewhere", |params| {
        params.subject_alt_names = uri(&format!("longhaul://{}/node/db1", Uuid::nil()));
    });
    let coordinator = bed.dir.path().join("tls");
    let theirs = other.folder(&Role::Node(name("db1")));
    let table = async {
        for (shown, why) in [
            (None, "no certificate"),
            (Some(&expired), "expired"),
            (Some(&early), "not valid yet"),
            (Some(&theirs), "invalid peer certificate"),
            (Some(&coordinator), "client authentication"),
            (Some(&no_role), "no certificate of ours: it has not one URI"),
            (Some(&strange), "names no role"),
            (Some(&elsewhere), "is of cluster 00000000"),
        ] {
            let (stream, peer) = shows(bed.address, &ca, shown.map(|path| &**path)).await;
            if let Ok(mut stream) = stream {
                until_over(&mut stream).await;
            }
            one_line(&peer, why).await;
        }
        let garbage = says_plainly(&bed, b"GET / HTTP/1.1\r\nHost: lh\r\n\r\n").await;
        one_line(&garbage, "no TLS connection").await;
        let zeros = says_plainly(&bed, &vec![0; 1 << 20]).await;
        one_line(&zeros, "no TLS connection").await;
        let silent = says_plainly(&bed, b"").await;
        one_line(&silent, "did not agree within 5 s").await;
    };
    meanwhile(&mut good, table).await;
}

#[tokio::test]
async fn who_has_one_and_makes_no_sense_is_refused_with_a_line() {
    let bed = Bed::new(&["good", "db1"]);
    let mut good = bed.service("good").await;
    let alive = framed(&Report::Alive { now: Time(0) });
    let half = &framed(&Report::Hello(bed.hello("db1")))[..20];
    let table = async {
        let cases: [(&str, Vec<u8>, bool, &str); 10] = [
            (
                "db1",
                changed(&bed, |h| h.version = 99),
                false,
                "protocol 99",
            ),
            (
                "db1",
                changed(&bed, |h| h.cluster = Uuid::nil()),
                false,
                "cluster 00000000",
            ),
            (
                "db1",
                changed(&bed, |h| h.node = name("db2")),
                false,
                "says that it is node db2",
            ),
            (
                "db1",
                changed(&bed, |h| h.epoch = Epoch(99)),
                false,
                "epoch 99 was seen",
            ),
            (
                "new",
                framed(&Report::Hello(bed.hello("new"))),
                false,
                "no node is called new",
            ),
            ("db1", alive, false, "did not introduce itself"),
            (
                "db1",
                b"{\"report\":\"hello\"}".to_vec(),
                false,
                "and 1048576 are the most",
            ),
            ("db1", vec![0, 0, 0, 2, b'{', b'}'], false, "no message"),
            ("db1", half.to_vec(), true, "in the middle of a message"),
            ("db1", Vec::new(), false, "nothing was said for 5 s"),
        ];
        for (node, bytes, is_over, why) in cases {
            let peer = says(&bed, node, &bytes, is_over).await;
            one_line(&peer, why).await;
        }
    };
    meanwhile(&mut good, table).await;
}

#[tokio::test]
async fn a_gigabyte_is_not_read() {
    let bed = Bed::new(&["good", "db1"]);
    let mut good = bed.service("good").await;
    let floods = async {
        let mut bytes = changed(&bed, |_| {});
        bytes.extend((1u32 << 30).to_be_bytes());
        bytes.resize(64 << 20, b' ');
        let peer = says(&bed, "db1", &bytes, false).await;
        one_line(&peer, "a message of 1073741824 bytes").await;
    };
    meanwhile(&mut good, floods).await;
}

#[tokio::test]
async fn a_service_that_is_refused_is_told_why() {
    let bed = Bed::new(&[]);
    let connection = bed.connect(&bed.node("db1")).await;
    let mut service = Service::new(connection, "db1");
    service.say(Report::Hello(bed.hello("db1")));
    // What else it says does not take the answer from it.
    for _ in 0..100 {
        service.say(Report::Alive { now: Time(0) });
    }
    match service.hear().await {
        What::Refused { why } => assert_eq!(why, "no node is called db1"),
        other => panic!("{other:?}"),
    }
    assert_eq!(service.hear_if().await, None);
}

#[tokio::test]
async fn a_hundred_strangers_that_say_nothing_keep_nobody_out_for_long() {
    let bed = Bed::new(&["good", "db1"]);
    let mut good = bed.service("good").await;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(Peer::connect(bed.address).await);
    }
    let comes = async {
        let begun = std::time::Instant::now();
        // Its own patience may be over before it is let in.
        let identity = bed.node("db1");
        while Connection::connect(&identity, &bed.address.to_string())
            .await
            .is_err()
        {}
        begun.elapsed()
    };
    let waited = meanwhile(&mut good, comes).await;
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}
