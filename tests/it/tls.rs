//! TLS on both listeners, with real files and real handshakes. (ACME with a real CA: `tests/acme/run`.)

mod acme;
mod clients;
mod files;
mod handshake;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use crate::certificates;
use crate::harness::Database;
use crate::program::Setup;

/// Certificate files of one server, as Kubernetes mounts them: `tls.pem` and `tls.key` lead through
/// the link `..data` to a folder that is swapped as a whole.
struct Mount {
    folder: PathBuf,
}

impl Mount {
    fn of(database: &Database, name: &str) -> Self {
        let folder = database.dir().join("mount");
        std::fs::create_dir(&folder).unwrap();
        for file in ["tls.pem", "tls.key"] {
            symlink(format!("..data/{file}"), folder.join(file)).unwrap();
        }
        let mount = Self { folder };
        mount.swap(&certificates::read(&format!("{name}.pem")), name);
        mount
    }

    /// Another certificate, with the key of `key`, in one step.
    fn swap(&self, certificate: &[u8], key: &str) {
        let version = self.folder.join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("tls.pem"), certificate).unwrap();
        let file = version.join("tls.key");
        std::fs::write(&file, certificates::read(&format!("{key}.key"))).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let link = self.folder.join("..new");
        symlink(&version, &link).unwrap();
        std::fs::rename(&link, self.folder.join("..data")).unwrap();
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }
}

/// With this certificate on a listener: `SERVER` or `ADMIN`.
fn with_tls(setup: Setup, listener: &str, name: &str) -> Setup {
    let certificate = certificates::path(&format!("{name}.pem"));
    let key = certificates::path(&format!("{name}.key"));
    setup
        .with(&format!("{listener}__TLS__CERTIFICATE_FILE"), &certificate)
        .with(&format!("{listener}__TLS__KEY_FILE"), &key)
}
