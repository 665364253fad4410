//! Who and what gets in, with the error codes that S3 gives ("Error responses" of the S3 API reference).
//!
//! `s3s-fs` alone makes a missing bucket at the first put, and calls a wrong access key `NotSignedUp`: a sink that is set up
//! wrongly would pass here and fail in earnest.

use std::path::PathBuf;

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use tokio::fs;

/// What Linux file systems take.
const FILE_NAME_BYTES_MAX: usize = 255;

/// The one pair of keys that the server knows.
pub(crate) struct KeyPair {
    pub(crate) access_key: String,
    pub(crate) secret_key: SecretKey,
}

#[async_trait]
impl S3Auth for KeyPair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            Ok(self.secret_key.clone())
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The access key id you provided does not exist in our records"
            ))
        }
    }
}

/// Lets signed requests pass that name a bucket which exists, or make one, and a key that `s3s-fs` can keep.
pub(crate) struct ExistingBuckets {
    pub(crate) dir: PathBuf,
}

#[async_trait]
impl S3Access for ExistingBuckets {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Anonymous access is forbidden"));
        }
        let Some(bucket) = context.s3_path().get_bucket_name() else {
            return Ok(());
        };
        if context.s3_op().name() == "CreateBucket" {
            return Ok(());
        }
        let upload = context.s3_op().name() == "CreateMultipartUpload";
        if let Some(key) = context.s3_path().get_object_key()
            && metadata_name_bytes(bucket, key, upload) > FILE_NAME_BYTES_MAX
        {
            let message = "This server cannot keep a key of so many bytes: about 150, or 120 for a multipart upload";
            return Err(s3_error!(KeyTooLongError, "{message}"));
        }
        // Bucket names have been validated: no separator and no dot at the start can be in one.
        match fs::try_exists(self.dir.join(bucket)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
            Err(error) => Err(s3_error!(error, InternalError)),
        }
    }
}

/// How long the name gets of the file in which `s3s-fs` keeps an object's metadata: it has bucket and key in base64.
fn metadata_name_bytes(bucket: &str, key: &str, upload: bool) -> usize {
    let base64_bytes = |text: &str| (text.len() * 4).div_ceil(3);
    let fixed = ".bucket-.object-.metadata.json".len();
    let upload_id = if upload { ".upload-".len() + 36 } else { 0 };
    fixed + base64_bytes(bucket) + base64_bytes(key) + upload_id
}
