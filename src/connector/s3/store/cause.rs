//! Why a request failed, and what to do about it.

use super::credentials::NOTHING_FOUND;

/// Why a request failed, as far as the remedy depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    NoSuchBucket,
    NoSuchUpload,
    UnknownKey,
    WrongSecret,
    ExpiredToken,
    ClockSkew,
    AccessDenied,
    OtherRegion,
    NoCredentials,
    Throttled,
    Full,
    Unreachable,
    Other,
}

impl Cause {
    /// Goes by the error code in the reply's text: the client does not hand out the reply itself.
    pub(super) fn of(error: &object_store::Error) -> Self {
        let text = full_text(error);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        match code.map_or("", |(code, _)| code) {
            "NoSuchBucket" => return Self::NoSuchBucket,
            "NoSuchUpload" => return Self::NoSuchUpload,
            "InvalidAccessKeyId" => return Self::UnknownKey,
            "SignatureDoesNotMatch" => return Self::WrongSecret,
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => return Self::ExpiredToken,
            "RequestTimeTooSkewed" => return Self::ClockSkew,
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => return Self::OtherRegion,
            "SlowDown" | "ServiceUnavailable" | "Throttling" | "RequestLimitExceeded" => {
                return Self::Throttled;
            }
            "XMinioStorageFull" | "QuotaExceeded" | "InsufficientCapacity" => return Self::Full,
            _ => {}
        }
        let has = |needle: &str| text.contains(needle);
        if has(NOTHING_FOUND) {
            return Self::NoCredentials;
        }
        match error {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => Self::AccessDenied,
            _ if has("507 Insufficient Storage") => Self::Full,
            _ if has("redirect") => Self::OtherRegion,
            _ if has("503 Service Unavailable") || has("429 Too Many") => Self::Throttled,
            _ if has("error sending request") || has("timed out") || has("dns error") => {
                Self::Unreachable
            }
            _ => Self::Other,
        }
    }

    pub(super) fn explanation(self, bucket: &str) -> String {
        match self {
            Self::NoSuchBucket => {
                format!("the bucket does not exist; create \"{bucket}\" or correct s3.bucket.name")
            }
            Self::NoSuchUpload => "the upload is gone".to_owned(),
            Self::UnknownKey => "the access key is not known there; correct aws.access.key.id, or \
                                 the worker's AWS_ACCESS_KEY_ID"
                .to_owned(),
            Self::WrongSecret => "the secret does not fit the access key; correct \
                                  aws.secret.access.key, or the worker's AWS_SECRET_ACCESS_KEY"
                .to_owned(),
            Self::ExpiredToken => "the credentials have expired; renew them".to_owned(),
            Self::ClockSkew => {
                "this machine's clock differs too much from the store's; set it".to_owned()
            }
            Self::AccessDenied => "access denied; allow these keys s3:PutObject, s3:GetObject and \
                 s3:AbortMultipartUpload on the bucket's objects, and s3:ListBucket on the bucket"
                .to_owned(),
            Self::OtherRegion => "the bucket is in another region; correct s3.region".to_owned(),
            Self::NoCredentials => {
                "no credentials were found; set aws.access.key.id and aws.secret.access.key, or \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the worker"
                    .to_owned()
            }
            Self::Throttled => "the store asks to slow down; it is tried again".to_owned(),
            Self::Full => "the store is full; make room there".to_owned(),
            Self::Unreachable => {
                "no connection; check that the store runs and that store.url (or the worker's \
                 AWS_ENDPOINT_URL_S3) names it"
                    .to_owned()
            }
            Self::Other => "the request failed".to_owned(),
        }
    }
}

fn full_text(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push('\n');
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The client's error with its innermost cause. Each of the client's causes repeats the text of the
/// next one, which nobody could read in a `trace`.
pub(super) fn brief(error: &object_store::Error) -> String {
    let text = error.to_string();
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let root = innermost.to_string();
    if text.contains(&root) { text } else { format!("{text}: {root}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_from_replies() {
        let generic = |text: &str| object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        };
        let rows = [
            ("404: <Error><Code>NoSuchBucket</Code></Error>", Cause::NoSuchBucket),
            ("404: <Error><Code>NoSuchUpload</Code></Error>", Cause::NoSuchUpload),
            ("403: <Error><Code>InvalidAccessKeyId</Code></Error>", Cause::UnknownKey),
            ("403: <Error><Code>SignatureDoesNotMatch</Code></Error>", Cause::WrongSecret),
            ("503: <Error><Code>SlowDown</Code></Error>", Cause::Throttled),
            ("Received redirect without LOCATION", Cause::OtherRegion),
            ("error sending request: Connection refused", Cause::Unreachable),
            ("something else", Cause::Other),
        ];
        for (text, cause) in rows {
            assert_eq!(Cause::of(&generic(text)), cause, "{text}");
        }
    }
}
