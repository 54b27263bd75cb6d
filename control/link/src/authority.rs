//! Who issues certificates.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_protocol::Time;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::file::{self, CA, CA_KEY, CERTIFICATE, KEY};
use crate::identity::{IdentityError, now, pem_to_der};
use crate::role::{COORDINATOR_DNS, Role, expiry, uri};

/// Days that a certificate holds if nothing else is said.
pub const DAYS: u32 = 730;
/// Days that one may hold at most.
pub const DAYS_MAX: u32 = 3650;
/// Days that the authority's own one holds: nobody is to live to see it end.
const CA_DAYS: u32 = 20 * 365;
/// Clocks that are so much behind take a new certificate all the same, in days.
const BEHIND_DAYS: u32 = 1;
/// What the authority's common name begins with; the cluster follows.
const CA_NAME: &str = "Longhaul cluster ";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cluster's certificate authority. Its key is needed to issue certificates
/// and for nothing else, and can lie on a medium that is locked away.
pub struct Authority {
    cluster: Uuid,
    certificate: String,
    expires: Time,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority of cluster {}", self.cluster)
    }
}

impl Authority {
    /// Makes the authority of a new cluster: `ca.pem`, and `ca.key` that only its
    /// owner reads, in a folder that is made if need be.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if one of the files is there: it is never
    /// overwritten. [`IdentityError::File`].
    pub fn create(dir: &Path) -> Result<Authority, IdentityError> {
        let cluster = Uuid::now_v7();
        let made = || -> Result<(String, String), rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = params(CA_DAYS, &format!("{CA_NAME}{cluster}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
        };
        let (certificate, key) = made().map_err(|error| IdentityError::issue(dir, error))?;
        file::create_dir(dir)?;
        file::create(&dir.join(CA_KEY), &key, true)?;
        file::create(&dir.join(CA), &certificate, false)?;
        Authority::open(dir)
    }

    /// Takes the authority that is in a folder.
    ///
    /// # Errors
    /// [`IdentityError`], with the file that is not as it should be.
    pub fn open(dir: &Path) -> Result<Authority, IdentityError> {
        let path = dir.join(CA);
        let bytes = file::read(&path, false)?;
        let malformed = |what: String| IdentityError::malformed(&path, what);
        let der = pem_to_der(&path, &bytes)?;
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|error| malformed(error.to_string()))?;
        let name = parsed.subject().iter_common_name().next();
        let cluster = name
            .and_then(|name| name.as_str().ok())
            .and_then(|name| name.strip_prefix(CA_NAME)?.parse().ok())
            .ok_or_else(|| malformed("it names no cluster".into()))?;
        let expires = expiry(&parsed);
        if expires <= now() {
            return Err(IdentityError::Expired(path));
        }
        let key_path = dir.join(CA_KEY);
        let key = String::from_utf8(file::read(&key_path, true)?)
            .ok()
            .and_then(|text| KeyPair::from_pem(&text).ok())
            .ok_or_else(|| IdentityError::malformed(&key_path, "it holds no key".into()))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            let what = format!("it is not the key of {CA} beside it");
            return Err(IdentityError::malformed(&key_path, what));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|error| IdentityError::malformed(&path, error.to_string()))?;
        Ok(Authority {
            cluster,
            certificate: String::from_utf8_lossy(&bytes).into_owned(),
            expires,
            issuer,
        })
    }

    /// The cluster.
    pub fn cluster(&self) -> Uuid {
        self.cluster
    }

    /// Issues a certificate for so many days ([`DAYS`] is a good number, up to
    /// [`DAYS_MAX`], and never longer than the authority's own): `ca.pem`,
    /// `cert.pem`, and `key.pem` that only its owner reads, in a folder that is
    /// made if need be.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if one of the files is there: it is never
    /// overwritten. [`IdentityError::Days`], [`IdentityError::File`].
    pub fn issue(&self, role: &Role, days: u32, out: &Path) -> Result<(), IdentityError> {
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(IdentityError::Days(days));
        }
        let made = || -> Result<(String, String), rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = params(days, &role.to_string());
            let last = Duration::from_millis(u64::try_from(self.expires.0).unwrap_or(0));
            params.not_after = params.not_after.min(date_time_ymd(1970, 1, 1) + last);
            let uri = uri(self.cluster, role).try_into()?;
            params.subject_alt_names.push(SanType::URI(uri));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            if *role == Role::Coordinator {
                // What a client asks for; no other certificate is a server's.
                let dns = COORDINATOR_DNS.try_into()?;
                params.subject_alt_names.push(SanType::DnsName(dns));
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok((certificate.pem(), key.serialize_pem()))
        };
        let (certificate, key) = made().map_err(|error| IdentityError::issue(out, error))?;
        file::create_dir(out)?;
        file::create(&out.join(KEY), &key, true)?;
        file::create(&out.join(CERTIFICATE), &certificate, false)?;
        file::create(&out.join(CA), &self.certificate, false)
    }
}

fn params(days: u32, name: &str) -> CertificateParams {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut params = CertificateParams::default();
    let now = date_time_ymd(1970, 1, 1) + now;
    params.not_before = now - DAY * BEHIND_DAYS;
    params.not_after = now + DAY * days;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
