//! For tests: faults of glommio 0.9 that we work around, each reproduced on glommio itself. The cure is tested where it
//! is. A test that fails after a change of glommio says which work-around may go; `docs/glommio.md` lists them.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::mem::ManuallyDrop;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use crate::executor::turn;
use crate::seccomp::refused;
use crate::tests::available;

fn builder() -> LocalExecutorBuilder {
    LocalExecutorBuilder::new(Placement::Unbound).io_memory(0)
}

fn executor() -> LocalExecutor {
    builder().make().unwrap()
}

/// Sets a cell when it is dropped.
struct Sets(Rc<Cell<bool>>);

impl Drop for Sets {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Starts one of the ignored tests below in a process of its own, under `sh`'s words.
fn child(words: &str, test: &str) -> Output {
    Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{words} exec \"$0\" --ignored --nocapture --exact traps::{test}"
        ))
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_panic_in_a_task_ends_the_thread() {
    if !available() {
        return;
    }
    let worker = thread::spawn(|| {
        executor().run(async {
            let task = glommio::spawn_local(async {
                turn().await;
                panic!("as this test wants it");
            });
            task.detach();
            for _ in 0..10 {
                turn().await;
            }
        });
    });
    assert!(worker.join().is_err());
}

#[test]
fn a_panic_in_a_destructor_ends_the_process() {
    if available() {
        let output = child("", "in_a_destructor");
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGABRT),
            "{}",
            told(&output)
        );
    }
}

#[test]
#[ignore = "ends its process"]
fn in_a_destructor() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("as this test wants it");
        }
    }
    executor().run(async {
        let bad = Bad;
        let task = poll_fn(move |_| {
            let _held = &bad;
            Poll::Ready(())
        });
        glommio::spawn_local(task).detach();
    });
}

/// The panic happens while a static is made, which then stays poisoned: not even a later executor can be built.
#[test]
fn refused_io_uring_is_a_panic_for_the_rest_of_the_process() {
    if available() {
        let output = child("", "with_io_uring_refused");
        let told = told(&output);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("Romulus killing Remus"), "{told}");
    }
}

#[test]
#[ignore = "leaves glommio unusable in its process"]
fn with_io_uring_refused() {
    fn panics() -> bool {
        std::panic::catch_unwind(|| drop(executor())).is_err()
    }
    assert!(refused(&[libc::SYS_io_uring_setup], libc::EPERM, panics));
    assert!(panics());
}

#[test]
fn a_low_limit_of_locked_memory_is_refused_whatever_the_kernel_charges() {
    if available() {
        let output = child("ulimit -l 64 &&", "with_little_memory_to_lock");
        assert!(output.status.success(), "{}", told(&output));
    }
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_little_memory_to_lock() {
    let error = builder().make().unwrap_err().to_string();
    assert!(error.contains("MemLockLimit(65536/524288)"), "{error}");
}

#[test]
fn tasks_that_wait_are_not_dropped_with_their_executor() {
    if !available() {
        return;
    }
    let dropped = thread::spawn(|| {
        let dropped = Rc::new(Cell::new(false));
        let sets = Sets(Rc::clone(&dropped));
        executor().run(async {
            let task = async move {
                let _sets = sets;
                // Something holds the waker, as a driver would.
                poll_fn(|cx| {
                    let _waker = ManuallyDrop::new(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            };
            glommio::spawn_local(task).detach();
            turn().await;
        });
        dropped.get()
    });
    assert!(!dropped.join().unwrap());
}

/// Other executors keep it until their end.
#[test]
fn a_task_whose_wakers_are_gone_is_dropped_at_once() {
    if !available() {
        return;
    }
    let dropped = thread::spawn(|| {
        let dropped = Rc::new(Cell::new(false));
        let sets = Sets(Rc::clone(&dropped));
        executor().run(async {
            let task = async move {
                let _sets = sets;
                pending::<()>().await;
            };
            glommio::spawn_local(task).detach();
            turn().await;
            turn().await;
            dropped.get()
        })
    });
    assert!(dropped.join().unwrap());
}

#[test]
fn spawn_local_polls_inside_the_task_that_spawns() {
    if !available() {
        return;
    }
    let polled = thread::spawn(|| {
        executor().run(async {
            let polled = Rc::new(Cell::new(false));
            let sets = Rc::clone(&polled);
            glommio::spawn_local(async move { sets.set(true) }).detach();
            polled.get()
        })
    });
    assert!(polled.join().unwrap());
}

#[test]
fn a_task_has_32767_wakers_at_most() {
    if available() {
        assert!(child("", "with_32000_wakers").status.success());
        assert!(!child("", "with_33000_wakers").status.success());
    }
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_32000_wakers() {
    clones_of_a_waker(32_000);
}

#[test]
#[ignore = "may end its process"]
fn with_33000_wakers() {
    clones_of_a_waker(33_000);
}

fn clones_of_a_waker(count: usize) {
    executor().run(poll_fn(|cx| {
        let wakers: Vec<_> = (0..count).map(|_| cx.waker().clone()).collect();
        drop(wakers);
        Poll::Ready(())
    }));
}
