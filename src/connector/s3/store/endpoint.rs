//! Where the requests go: path or virtual-host style, and the hosts that `network.resolve` maps.

use std::net::IpAddr;

use object_store::client::{DnsFuture, DnsResolver};
use url::Url;

use crate::config::HostMap;

/// With virtual-host style the client wants the bucket in the endpoint's host.
pub(super) fn endpoint_text(mut endpoint: Url, bucket: Option<&str>) -> String {
    if let (Some(bucket), Some(host)) = (bucket, endpoint.host_str()) {
        let host = format!("{bucket}.{host}");
        let _ = endpoint.set_host(Some(&host));
    }
    endpoint.as_str().trim_end_matches('/').to_owned()
}

/// Whether the host is an IP address, which no bucket can stand before.
pub(super) fn is_address(endpoint: &Url) -> bool {
    matches!(endpoint.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)))
}

/// Where to connect instead of `endpoint`. Plain HTTP goes to the other address outright; with TLS
/// the name stays, because the certificate is made for it.
pub(super) fn mapped(endpoint: &Url, hosts: &HostMap) -> (Url, Option<MappedHost>) {
    let (Some(host), Some(port)) = (endpoint.host_str(), endpoint.port_or_known_default()) else {
        return (endpoint.clone(), None);
    };
    let (address, to_port) = hosts.resolve(host, port);
    let mut url = endpoint.clone();
    // Both fail only for URLs without host, which were refused before.
    let _ = url.set_port(Some(to_port));
    if address == host {
        return (url, None);
    }
    if endpoint.scheme() == "https" {
        return (url, Some(MappedHost { host: host.to_owned(), address }));
    }
    let _ = url.set_host(Some(&address));
    (url, None)
}

/// A name that has another's address.
#[derive(Debug)]
pub(super) struct MappedHost {
    host: String,
    address: String,
}

/// Resolves names, one of them perhaps to another's address, and judges what they resolve to.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) mapped: Option<MappedHost>,
    pub(super) hosts: HostMap,
}

impl DnsResolver for Resolver {
    fn resolve(&self, host: &str) -> DnsFuture {
        // With virtual-host style the bucket stands before the name.
        let is = |name: &str| host == name || host.ends_with(&format!(".{name}"));
        let mapped = self.mapped.as_ref().filter(|mapped| is(&mapped.host));
        let name = mapped.map_or_else(|| host.to_owned(), |mapped| mapped.address.clone());
        let (host, hosts) = (host.to_owned(), self.hosts.clone());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            match found.iter().find_map(|address| hosts.refuses(&host, *address)) {
                Some(why) => Err(std::io::Error::other(why).into()),
                None => Ok(found),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Egress;

    #[tokio::test]
    async fn a_name_is_judged_by_its_address() {
        let deny = ["127.0.0.0/8".to_owned(), "::1".to_owned()];
        let guard = Egress::parse(&[], &deny).unwrap();
        let mapped = HostMap::parse("minio=localhost").unwrap();
        for (name, hosts, fine) in [
            ("open", HostMap::default(), true),
            ("denied", HostMap::default().guarded(guard.clone()), false),
            ("the operator leads there", mapped.guarded(guard), true),
        ] {
            let found = Resolver { mapped: None, hosts }.resolve("localhost").await;
            let refused = found.err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(refused.is_empty(), fine, "{name}: {refused}");
            assert!(fine || refused.contains("connectors may not connect to"), "{refused}");
        }
    }

    #[test]
    fn plain_endpoints_are_mapped_and_tls_names_are_kept() {
        let hosts = HostMap::parse("minio:9000=127.0.0.1:19000,s3.test=127.0.0.1:8443").unwrap();
        let rows = [
            ("http://minio:9000", "http://127.0.0.1:19000/", false),
            ("http://other:9000", "http://other:9000/", false),
            ("https://s3.test", "https://s3.test:8443/", true),
        ];
        for (endpoint, expected, resolver) in rows {
            let (url, found) = mapped(&Url::parse(endpoint).unwrap(), &hosts);
            assert_eq!((url.as_str(), found.is_some()), (expected, resolver), "{endpoint}");
        }
    }
}
