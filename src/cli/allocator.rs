//! Has glibc give large buffers back to the system as soon as they are freed.
//!
//! By itself it raises its bound for that with each large buffer that is freed, up to 32 MiB, and then keeps what it has: under
//! attack the process took 139 MiB where 102 will do. It reads the bound before `main`, so the program starts itself over.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::{env, os::unix::process::CommandExt, process::Command};

/// Buffers from 1 MiB on, which are those of large requests and batches, are mapped one by one; the others are kept at hand.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];
/// Where an operator may have said something else.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Starts the program over with its arguments, as the same process, unless that was done or somebody has settings of his own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_large_buffers_back() {
    let mut names = SETTINGS.iter().map(|(name, _)| *name).chain([TUNABLES]);
    if names.any(|name| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It returns only if it has failed. Then everything works as well, and takes more memory under attack.
    let _failed = again.args(arguments).envs(SETTINGS).exec();
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) const fn give_large_buffers_back() {}
