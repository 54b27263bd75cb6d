//! One's own certificate and key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use longhaul_protocol::Time;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use uuid::Uuid;

use crate::authority::DAYS_MAX;
use crate::file::{self, CA, CERTIFICATE, KEY};
use crate::role::{Claim, Role, claim};

/// Why an identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A number of days out of bounds.
    #[error("a certificate for {0} days: 1 to {DAYS_MAX} can be had")]
    Days(u32),
    /// A file is there already.
    #[error(
        "{0} is there already, and is not overwritten: name another folder, or move it away if \
         nobody uses it any more"
    )]
    Exists(PathBuf),
    /// A certificate has ended, by this machine's clock.
    #[error("{0} has expired: issue a new certificate (lh-control enroll), or set the clock")]
    Expired(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: cannot be used; lh-control init and enroll make such files")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No certificate can be made.
    #[error("no certificate can be made for {path}")]
    Issue {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {what}; issue a new one (lh-control enroll)")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Others can read a key.
    #[error("{0} can be read by everybody on this machine: chmod 600 it, or issue a new one")]
    NoSecret(PathBuf),
}

impl IdentityError {
    pub(crate) fn file(path: &Path, source: io::Error) -> IdentityError {
        let path = path.to_owned();
        IdentityError::File { path, source }
    }

    pub(crate) fn issue(path: &Path, source: rcgen::Error) -> IdentityError {
        let path = path.to_owned();
        IdentityError::Issue { path, source }
    }

    pub(crate) fn malformed(path: &Path, what: String) -> IdentityError {
        let path = path.to_owned();
        IdentityError::Malformed { path, what }
    }
}

/// A certificate with its key, and the authority that it trusts.
#[derive(Clone)]
pub struct Identity {
    claim: Claim,
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claim { cluster, role, .. } = &self.claim;
        write!(f, "Identity of {role} in cluster {cluster}")
    }
}

impl Identity {
    /// Takes what [`issue`](crate::Authority::issue) has made.
    ///
    /// # Errors
    /// [`IdentityError`], with the file that is not as it should be.
    pub fn load(dir: &Path) -> Result<Identity, IdentityError> {
        let (ca, path, key) = (dir.join(CA), dir.join(CERTIFICATE), dir.join(KEY));
        let certificate = pem_to_der(&path, &file::read(&path, false)?)?;
        let malformed = |what: String| IdentityError::malformed(&path, what);
        let claim = claim(&certificate).map_err(|error| malformed(error.to_string()))?;
        if claim.expires <= now() {
            return Err(IdentityError::Expired(path));
        }
        let mut roots = RootCertStore::empty();
        roots
            .add(pem_to_der(&ca, &file::read(&ca, false)?)?)
            .map_err(|error| IdentityError::malformed(&ca, error.to_string()))?;
        let private = PrivateKeyDer::from_pem_slice(&file::read(&key, true)?)
            .map_err(|_| IdentityError::malformed(&key, "it holds no key".into()))?;
        let roots = Arc::new(roots);
        let (server, client) = configurations(&roots, &certificate, &private)
            .map_err(|error| malformed(format!("it cannot be used with {KEY}: {error}")))?;
        Ok(Identity {
            claim,
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }

    /// The cluster that it belongs to.
    pub fn cluster(&self) -> Uuid {
        self.claim.cluster
    }

    /// Who one is in it.
    pub fn role(&self) -> &Role {
        &self.claim.role
    }

    /// When the certificate ends.
    pub fn expires(&self) -> Time {
        self.claim.expires
    }
}

/// What rustls is to do as a server, and as a client. Sessions are not resumed:
/// each connection shows its certificates anew, and that they have not expired.
fn configurations(
    roots: &Arc<RootCertStore>,
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Result<(ServerConfig, ClientConfig), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let chain = || vec![certificate.clone()];
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(), key.clone_key())?;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain(), key.clone_key())?;
    client.resumption = Resumption::disabled();
    Ok((server, client))
}

/// The certificate in a file.
pub(crate) fn pem_to_der(
    path: &Path,
    pem: &[u8],
) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(pem)
        .map_err(|_| IdentityError::malformed(path, "it holds no certificate".into()))
}

/// This machine's clock.
pub(crate) fn now() -> Time {
    Time::from(SystemTime::now())
}
