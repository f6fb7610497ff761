//! What every script that is being played has alike: its place on the board of its case, how it ends, and the steps that
//! need no protocol (closing, signals, sleep). What is sent and awaited is of `actor` and `frames::player`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use outrigger_core::time::Duration;
use outrigger_sim::{Action as Do, Complaints, Met};

use crate::Problem;
use crate::script::Plain;

/// What all actors of a case share.
#[derive(Debug, Default)]
pub struct Board {
    /// Signals given so far; they are never taken back.
    pub signals: BTreeSet<String>,
    /// What went wrong, in order.
    pub problems: Vec<Problem>,
    /// How long a `* pause` is; `None` where a write of its own is all one can have.
    pub pause: Option<Duration>,
    /// What was said that is no HTTP/2, where that is spoken.
    pub complaints: Complaints,
    /// Scripts being played: who, and at which line it stands; removed at its end.
    pub playing: BTreeMap<String, usize>,
}

/// A shared [`Board`].
pub type SharedBoard = Rc<RefCell<Board>>;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Wait,
}

impl Progress {
    pub(crate) const fn wait_unless(done: bool) -> Self {
        if done { Self::Done } else { Self::Wait }
    }
}

/// One script's place on the board.
#[derive(Debug)]
pub(crate) struct Part {
    file: String,
    /// Unique in its case.
    name: String,
    board: SharedBoard,
    asleep: bool,
    woken: bool,
    /// What was met beneath HTTP, where TLS is spoken there, or why nothing was.
    met: Option<Result<Met, String>>,
    /// The script is over, one way or the other.
    is_over: bool,
}

impl Part {
    pub(crate) fn new(file: &str, name: String, board: SharedBoard) -> Self {
        Self {
            file: file.to_owned(),
            name,
            board,
            asleep: false,
            woken: false,
            met: None,
            is_over: false,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// It plays, and the step at `line` is next.
    pub(crate) fn stand_at(&self, line: usize) {
        let mut board = self.board.borrow_mut();
        board.playing.insert(self.name.clone(), line);
    }

    pub(crate) const fn wake(&mut self) {
        self.woken = true;
    }

    /// What came of TLS beneath its connection; the last word holds.
    pub(crate) fn meet(&mut self, met: Result<&Met, &str>) {
        self.met = Some(met.cloned().map_err(str::to_owned));
    }

    pub(crate) fn hear_signal(&self, name: &str) {
        self.board.borrow_mut().signals.insert(name.to_owned());
    }

    pub(crate) fn fail(&mut self, line: usize, what: &str, out: &mut Vec<Do>) {
        let what = format!("{}: {what}", self.name);
        let mut board = self.board.borrow_mut();
        board.problems.push(Problem::new(&self.file, line, what));
        board.playing.remove(&self.name);
        drop(board);
        self.is_over = true;
        out.push(Do::Reset);
        out.push(Do::Signal(format!("{} finished", self.name)));
    }

    /// All steps are done; said once.
    pub(crate) fn finish(&self, out: &mut Vec<Do>) {
        if self.board.borrow_mut().playing.remove(&self.name).is_some() {
            out.push(Do::Signal(format!("{} finished", self.name)));
        }
    }

    pub(crate) fn leave(&mut self, out: &mut Vec<Do>) {
        self.is_over = true;
        out.push(Do::Close);
    }

    /// Does a step that needs no protocol.
    ///
    /// # Errors
    /// What differs from what it expects.
    pub(crate) fn perform(&mut self, plain: &Plain, out: &mut Vec<Do>) -> Result<Progress, String> {
        Ok(match plain {
            Plain::Close => said(Do::Close, out),
            Plain::Reset => said(Do::Reset, out),
            Plain::Shutdown => said(Do::Shutdown, out),
            Plain::Signal(name) => {
                self.hear_signal(name);
                said(Do::Signal(name.clone()), out)
            }
            Plain::AwaitSignal(name) => {
                let given = self.board.borrow().signals.contains(name);
                Progress::wait_unless(given)
            }
            Plain::Sleep(time) => self.sleep(*time, out),
            Plain::Pause => {
                let pause = self.board.borrow().pause;
                pause.map_or(Progress::Done, |time| self.sleep(time, out))
            }
            Plain::ExpectTls(expected) => {
                Progress::wait_unless(expected.judge(self.met.as_ref())?.is_some())
            }
        })
    }

    fn sleep(&mut self, time: Duration, out: &mut Vec<Do>) -> Progress {
        if std::mem::take(&mut self.woken) {
            self.asleep = false;
            return Progress::Done;
        }
        if !std::mem::replace(&mut self.asleep, true) {
            out.push(Do::Sleep(time));
        }
        Progress::Wait
    }
}

fn said(what: Do, out: &mut Vec<Do>) -> Progress {
    out.push(what);
    Progress::Done
}
