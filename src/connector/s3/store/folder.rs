//! A folder in place of a bucket, for `store.url=file:///…`: the same protocol of parts that become
//! visible at once, so that every guarantee can be tried without S3.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

/// Where parts wait, below the bucket's folder. No object has such a name: they start with
/// `topics.dir` or a topic, and no topic name starts like this.
const UPLOADS: &str = ".ferroconnect-uploads";

/// The folder of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: Arc<Path>,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: root.into() }
    }

    /// Makes the folder, unless it is there.
    pub(super) async fn check(&self) -> io::Result<()> {
        fs::create_dir_all(&self.root).await
    }

    pub(super) async fn create(&self) -> io::Result<String> {
        let upload_id = uuid::Uuid::new_v4().to_string();
        fs::create_dir_all(self.upload(&upload_id)?).await?;
        Ok(upload_id)
    }

    pub(super) async fn put_part(
        &self,
        upload_id: &str,
        index: usize,
        content: &Bytes,
    ) -> io::Result<String> {
        let name = index.to_string();
        let mut file = fs::File::create(self.upload(upload_id)?.join(&name)).await?;
        file.write_all(content).await?;
        file.sync_all().await?;
        Ok(name)
    }

    /// Makes one file of the parts. `false`: the upload is gone and there is no object.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        parts: usize,
    ) -> io::Result<bool> {
        let (upload, object) = (self.upload(upload_id)?, self.object(key)?);
        if !fs::try_exists(&upload).await? {
            return fs::try_exists(&object).await;
        }
        let whole = upload.join("object");
        let mut file = fs::File::create(&whole).await?;
        for index in 0..parts {
            let mut part = fs::File::open(upload.join(index.to_string())).await?;
            tokio::io::copy(&mut part, &mut file).await?;
        }
        file.sync_all().await?;
        if let Some(parent) = object.parent() {
            fs::create_dir_all(parent).await?;
        }
        fs::rename(&whole, &object).await?;
        fs::remove_dir_all(&upload).await?;
        Ok(true)
    }

    /// Forgets an upload. One that is gone already is fine.
    pub(super) async fn abort(&self, upload_id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.upload(upload_id)?).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn upload(&self, upload_id: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(UPLOADS).join(plain(upload_id)?))
    }

    fn object(&self, key: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(plain(key)?))
    }
}

/// The name as a path that stays below the folder.
fn plain(name: &str) -> io::Result<&Path> {
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && !name.is_empty() {
        return Ok(path);
    }
    let message = format!("\"{name}\" is no name below the folder");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_become_visible_at_once() {
        let root = std::env::temp_dir().join(format!("folder-{}", uuid::Uuid::new_v4()));
        let folder = Folder::new(root.clone());
        folder.check().await.unwrap();
        let upload = folder.create().await.unwrap();
        for (index, content) in [(1, "b"), (0, "a")] {
            folder.put_part(&upload, index, &Bytes::from(content)).await.unwrap();
        }
        assert!(!root.join("t/x").exists());
        assert!(folder.complete("t/x", &upload, 2).await.unwrap());
        assert_eq!(std::fs::read_to_string(root.join("t/x")).unwrap(), "ab");
        assert!(folder.complete("t/x", &upload, 2).await.unwrap(), "a reply that was lost");
        assert!(!folder.complete("t/y", &upload, 2).await.unwrap(), "gone without an object");
        let given_up = folder.create().await.unwrap();
        folder.abort(&given_up).await.unwrap();
        folder.abort(&given_up).await.unwrap();
        assert!(!folder.complete("t/z", &given_up, 1).await.unwrap());
        for name in ["../x", "/x", ""] {
            folder.complete(name, &upload, 1).await.unwrap_err();
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
