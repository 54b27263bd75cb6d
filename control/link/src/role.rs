//! What a certificate says of who has it.
//!
//! It is one URI among the subject's alternative names (RFC 5280 4.2.1.6):
//! `longhaul://CLUSTER/coordinator`, `longhaul://CLUSTER/node/NAME` or
//! `longhaul://CLUSTER/operator/NAME`. A name of ours may hold what a host name
//! may not, and never a `/`.

use std::fmt;

use longhaul_protocol::{Name, Time};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What the coordinator's certificate, and no other, has as its DNS name: what
/// clients ask for.
pub(crate) const COORDINATOR_DNS: &str = "coordinator.longhaul";
const SCHEME: &str = "longhaul://";

/// What somebody is in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The coordinator.
    Coordinator,
    /// The backup service of a node.
    Node(Name),
    /// A person, or a script of his.
    Operator(Name),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Coordinator => f.write_str("the coordinator"),
            Role::Node(name) => write!(f, "node {name}"),
            Role::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

/// A certificate that does not say who has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no certificate of ours: {0}")]
pub struct NoRole(String);

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The cluster.
    pub cluster: Uuid,
    /// Who has it there.
    pub role: Role,
    /// When it ends.
    pub expires: Time,
}

/// The role as a certificate has it.
pub(crate) fn uri(cluster: Uuid, role: &Role) -> String {
    match role {
        Role::Coordinator => format!("{SCHEME}{cluster}/coordinator"),
        Role::Node(name) => format!("{SCHEME}{cluster}/node/{name}"),
        Role::Operator(name) => format!("{SCHEME}{cluster}/operator/{name}"),
    }
}

fn parsed(uri: &str) -> Option<(Uuid, Role)> {
    let (cluster, rest) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    let cluster = cluster.parse().ok()?;
    let role = match rest.split_once('/') {
        None if rest == "coordinator" => Role::Coordinator,
        Some(("node", name)) => Role::Node(name.parse().ok()?),
        Some(("operator", name)) => Role::Operator(name.parse().ok()?),
        _ => return None,
    };
    Some((cluster, role))
}

/// What this certificate says. Whether it is to be believed is another question.
pub(crate) fn claim(der: &[u8]) -> Result<Claim, NoRole> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| NoRole(error.to_string()))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| NoRole(error.to_string()))?
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(NoRole("it has not one URI".into()));
    };
    let (cluster, role) =
        parsed(uri).ok_or_else(|| NoRole(format!("its URI {uri:?} names no role")))?;
    let expires = expiry(&certificate);
    Ok(Claim {
        cluster,
        role,
        expires,
    })
}

/// When a certificate ends.
pub(crate) fn expiry(certificate: &X509Certificate<'_>) -> Time {
    let seconds = certificate.validity().not_after.timestamp();
    Time(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_comes_back_from_its_uri_and_nothing_else_is_one() {
        let cluster = Uuid::from_u128(7);
        let name = |text: &str| text.parse::<Name>().expect("a name");
        for role in [
            Role::Coordinator,
            Role::Node(name("db-1.example.org")),
            Role::Node(name("coordinator")),
            Role::Operator(name("ann_b")),
        ] {
            assert_eq!(parsed(&uri(cluster, &role)), Some((cluster, role)));
        }
        for bad in [
            "longhaul:node:db1".to_owned(),
            "http://example.org/node/db1".to_owned(),
            "longhaul://7/node/db1".to_owned(),
            format!("longhaul://{cluster}"),
            format!("longhaul://{cluster}/"),
            format!("longhaul://{cluster}/node"),
            format!("longhaul://{cluster}/node/"),
            format!("longhaul://{cluster}/node/db1/operator/ann"),
            format!("longhaul://{cluster}/node/db 1"),
            format!("longhaul://{cluster}/coordinator/db1"),
        ] {
            assert_eq!(parsed(&bad), None, "{bad}");
        }
    }
}
