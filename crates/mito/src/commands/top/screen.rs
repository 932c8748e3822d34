//! The alternate screen of the terminal, and the keys.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Output;
use crate::show::redraw::Redraw;

const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[H";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The alternate screen. The terminal is restored when this is dropped.
pub(super) struct Screen {
    redraw: Redraw,
    before: Option<Termios>,
}

impl Screen {
    /// Switches to the alternate screen. Keys are read at once and not shown; Ctrl-C remains a signal, and Ctrl-Z has no
    /// effect, as the shell would get this screen.
    pub(super) fn open() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("cannot prepare the terminal", error);
        let before = match io::stdin().is_terminal() {
            true => Some(tcgetattr(io::stdin()).map_err(|error| failed(error.into()))?),
            false => None,
        };
        if let Some(before) = &before {
            let mut settings = before.clone();
            settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            settings.control_chars[SpecialCharacterIndices::VSUSP as usize] = 0;
            tcsetattr(io::stdin(), SetArg::TCSANOW, &settings).map_err(|error| failed(error.into()))?;
        }
        let screen = Self { redraw: Redraw::default(), before };
        write(ENTER).map_err(failed)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, lines: &[String], out: &Output) -> Result<(), Failure> {
        self.redraw.draw(lines, &out.again(mitosis_protocol::Timestamp::UNIX_EPOCH))
    }

    /// The next frame replaces the whole screen.
    pub(super) fn resized(&mut self) {
        self.redraw.clear();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Ctrl-C is the way to end it, so it is a success.
pub(super) fn exit_of(request: &str) -> ExitCode {
    match request {
        "SIGINT" => ExitCode::SUCCESS,
        other => Exit::of_request(other).into(),
    }
}

/// Keys from the terminal, which a thread reads: reading can't be cancelled.
pub(super) struct Keys(UnboundedReceiver<u8>);

impl Keys {
    pub(super) fn read() -> Self {
        let (pressed, keys) = unbounded_channel();
        if io::stdin().is_terminal() {
            std::thread::spawn(move || {
                let mut key = [0];
                while io::stdin().read(&mut key).is_ok_and(|length| length > 0)
                    && pressed.send(key[0]).is_ok()
                {}
            });
        }
        Self(keys)
    }

    /// Waits for `q`.
    pub(super) async fn quit(&mut self) {
        loop {
            match self.0.recv().await {
                Some(b'q' | b'Q') => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}
