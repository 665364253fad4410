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

/// Resolves one name to another's address.
#[derive(Debug)]
pub(super) struct MappedHost {
    host: String,
    address: String,
}

impl DnsResolver for MappedHost {
    fn resolve(&self, host: &str) -> DnsFuture {
        // With virtual-host style the bucket stands before the name.
        let ours = host == self.host || host.ends_with(&format!(".{}", self.host));
        let name = if ours { self.address.clone() } else { host.to_owned() };
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect::<Vec<IpAddr>>())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
