//! Workers on remote hosts: the real ssh and sshd, the real Slurm, and templates.

#[cfg(feature = "system-tests")]
mod contact;
mod doctor;
#[cfg(feature = "system-tests")]
mod doctor_hosts;
#[cfg(feature = "system-tests")]
mod ends;
#[cfg(feature = "system-tests")]
mod launches;
#[cfg(feature = "system-tests")]
mod scene;
#[cfg(feature = "system-tests")]
mod slurm;
#[cfg(feature = "system-tests")]
mod sshd;
#[path = "../support/mod.rs"]
mod support;
mod templates;
