//! The client's settings, without a store.

use super::*;
use crate::connector::s3::config::Encryption;

fn config(place: Place) -> StoreConfig {
    StoreConfig {
        bucket: "b".to_owned(),
        region: "eu-central-1".to_owned(),
        place,
        path_style: true,
        credentials: Credentials::Anonymous,
        encryption: Encryption::Bucket,
        acl: None,
        retries: 0,
        retry_backoff_ms: 1,
        proxy: None,
    }
}

#[test]
fn keys_are_appended_to_the_buckets_url() {
    let endpoint = |url: &str| Place::Endpoint(url::Url::parse(url).unwrap());
    let rows = [
        (Place::Amazon, true, "https://s3.eu-central-1.amazonaws.com/b/"),
        (Place::Amazon, false, "https://b.s3.eu-central-1.amazonaws.com/"),
        (Place::Accelerated, false, "https://b.s3-accelerate.amazonaws.com/"),
        (endpoint("http://minio:9000"), true, "http://minio:9000/b/"),
        (endpoint("http://minio:9000"), false, "http://b.minio:9000/"),
        (endpoint("http://127.0.0.1:9000"), false, "http://127.0.0.1:9000/b/"),
    ];
    for (place, path_style, expected) in rows {
        let config = StoreConfig { path_style, ..config(place) };
        let metrics = TaskMetrics::default();
        let client =
            Client::new(&config, &HostMap::default(), &SinkDefaults::default(), &metrics).unwrap();
        assert_eq!(client.extra.base, expected);
    }
}
