//! A pseudo-terminal, which belongs to one command.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::home::LIMIT;

pub(crate) const ENTER: &str = "\r";
pub(crate) const TAB: &str = "\t";
pub(crate) const UP: &str = "\x1b[A";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// The keyboard and the screen of a command.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: UnboundedReceiver<Vec<u8>>,
    /// Output that was not read yet.
    unread: String,
}

impl Terminal {
    /// Starts a command at a terminal with a number of columns. It is the controlling terminal: Ctrl-C is a signal,
    /// unless the command reads the key itself.
    pub(crate) fn start(command: &Command, columns: u16) -> Self {
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let (own, its) = (File::from(pty.master), File::from(pty.slave));
        let stdio = || Stdio::from(its.try_clone().unwrap());
        let like = command.as_std();
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(like.get_program()).args(like.get_args()).env_clear();
        command.env("TERM", "xterm");
        for (name, value) in like.get_envs() {
            command.env(name, value.expect("only what is set is kept"));
        }
        command.current_dir(like.get_current_dir().expect("a home"));
        command.stdin(stdio()).stdout(stdio()).stderr(stdio()).kill_on_drop(true);
        let child = command.spawn().expect("setsid starts");
        let (seen, screen) = unbounded_channel();
        let mut output = own.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The other side is gone when reading fails.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if seen.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard: own, screen, unread: String::new() }
    }

    /// Changes the size. The command is notified.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        let size = format!("rows {rows} cols {columns}");
        let path = std::fs::read_link(format!("/proc/{}/fd/0", self.child.id().expect("it runs"))).unwrap();
        let mut resize = std::process::Command::new("stty");
        resize.arg("-F").arg(path).args(size.split(' '));
        assert!(resize.status().unwrap().success());
    }

    pub(crate) fn types(&mut self, keys: &[&str]) {
        self.keyboard.write_all(keys.concat().as_bytes()).unwrap();
    }

    /// Waits until this text is on the screen. Returns the text before it.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let seen = async {
            loop {
                if let Some((before, after)) = self.unread.split_once(text) {
                    let (before, after) = (before.to_owned(), after.to_owned());
                    self.unread = after;
                    return Some(before);
                }
                self.unread.push_str(&String::from_utf8_lossy(&self.screen.recv().await?));
            }
        };
        match tokio::time::timeout(LIMIT, seen).await {
            Ok(Some(before)) => before,
            _ => panic!("`{text}` is not on the screen: {:?}", self.unread),
        }
    }

    /// Waits until the command has ended. Returns its exit code and the rest of its output.
    pub(crate) async fn ends(mut self) -> (Option<i32>, String) {
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.expect("it ends").unwrap();
        while let Some(bytes) = self.screen.recv().await {
            self.unread.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status.code(), self.unread)
    }
}
