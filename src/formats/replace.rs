//! Files that are replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Lets `write` write a file of this name, in place of one that may be there. Whenever this process
/// dies, or the machine, there is the old file or the new one, and each is whole.
///
/// It is written under another name beside it, handed to the disk, and renamed. A process that is
/// killed on the way leaves that other file behind. Whoever may read the old file may read the new
/// one; of a symbolic link it is the file that is replaced.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let linked = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let target = if linked { fs::canonicalize(path).ok() } else { None };
    let target = target.as_deref().unwrap_or(path);
    let (temporary, file) = create_beside(target).map_err(|error| Error::file(path, &error))?;
    let done =
        keep_permissions(target, &file).and_then(|()| write_and_sync(file, write)).and_then(|()| {
            fs::rename(&temporary, target)?;
            sync_directory(target)
        });
    if done.is_err() {
        // What matters is the error that led here.
        let _ = fs::remove_file(&temporary);
    }
    done.map_err(|error| Error::file(path, &error))
}

/// Checks that the directory is there in which a file is to be written, and that this is no
/// directory itself.
#[cfg(feature = "checkpoint")]
pub(crate) fn check_directory(path: &Path) -> Result<()> {
    let error = |error: io::Error| Err(Error::file(path, &error));
    match fs::metadata(directory_of(path)) {
        Err(problem) => error(problem),
        Ok(parent) if !parent.is_dir() => error(io::ErrorKind::NotADirectory.into()),
        Ok(_) if path.is_dir() => error(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(()),
    }
}

#[cfg(any(unix, feature = "checkpoint"))]
fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// A new file in the same directory, so that it can be renamed.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, "this is no name of a file"));
    }
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Without the file's own, which may be as long as a name can be.
        let hidden = format!(".deltarule-{}-{number}.tmp", process::id());
        let temporary = path.with_file_name(hidden);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left by a process with the same id that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives the new file the permissions of the old one, if there is one, before anything is in it.
#[cfg(unix)]
fn keep_permissions(path: &Path, file: &File) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(old) if old.is_file() => file.set_permissions(old.permissions()),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn keep_permissions(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

fn write_and_sync(
    file: File,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    write(&mut writer)?;
    writer.into_inner()?.sync_all()
}

/// Hands a directory's new entry to the disk, where a directory can be opened.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own, which is gone with the value.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("deltarule-{name}-{}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_writer_that_ends_at_any_byte_leaves_the_old_file() {
        let directory = Directory::new("replace");
        let path = directory.0.join("file");
        let (old, new) = (b"what was there before".as_slice(), [7; 300]);
        replace(&path, |to| to.write_all(old)).unwrap();
        for end in 0..new.len() {
            let error = replace(&path, |to| {
                to.write_all(&new[..end])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            });
            let Err(Error::File { path: named, kind, .. }) = error else { panic!("{error:?}") };
            assert_eq!(kind, io::ErrorKind::StorageFull);
            assert_eq!(named, path);
            assert_eq!(fs::read(&path).unwrap(), old);
            assert_eq!(directory.names(), ["file"]);
        }
        replace(&path, |to| to.write_all(&new)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), new);
        assert_eq!(directory.names(), ["file"]);
    }

    #[test]
    fn errors_name_the_file() {
        let directory = Directory::new("replace-errors");
        let path = directory.0.join("no such directory").join("file");
        let error = replace(&path, |to| to.write_all(b"x")).unwrap_err();
        assert!(matches!(error, Error::File { kind: io::ErrorKind::NotFound, .. }), "{error}");
        assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error}");
        // A directory can't be replaced by a file.
        let path = directory.0.join("directory");
        fs::create_dir_all(path.join("with something in it")).unwrap();
        let error = replace(&path, |to| to.write_all(b"x")).unwrap_err();
        assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error}");
        assert_eq!(directory.names(), ["directory"]);
        assert!(replace(Path::new("/"), |to| to.write_all(b"x")).is_err());
    }

    #[test]
    fn what_killed_writers_left_is_passed_over() {
        let directory = Directory::new("replace-left");
        for number in 0..2000 {
            let left = format!(".deltarule-{}-{number}.tmp", process::id());
            fs::write(directory.0.join(left), b"torn").unwrap();
        }
        let path = directory.0.join("file");
        replace(&path, |to| to.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(directory.names().len(), 2001);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay_and_names_may_be_long() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = Directory::new("replace-links");
        let path = directory.0.join("n".repeat(255));
        replace(&path, |to| to.write_all(b"old")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = directory.0.join("link");
        symlink(&path, &link).unwrap();
        replace(&link, |to| to.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(directory.names().len(), 2);
    }

    #[test]
    fn a_name_alone_is_in_the_current_directory() {
        let name = format!("deltarule-name-{}", process::id());
        replace(Path::new(&name), |to| to.write_all(b"x")).unwrap();
        fs::remove_file(name).unwrap();
    }
}
