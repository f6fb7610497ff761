//! What the driver relies on, held to what glommio does. The driver's part is played by a task that wakes itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use super::*;
use crate::seccomp::refuse;
use crate::tests::available;

/// Runs on a thread of its own, since a worker is one.
fn on_a_worker(test: fn()) {
    if available() {
        thread::spawn(test).join().unwrap();
    }
}

/// Says `name` when it is dropped.
struct Says(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Says {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn tasks_run_in_the_order_in_which_they_became_runnable() {
    on_a_worker(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let see = |what| seen.borrow_mut().push(what);
        run(None, async {
            for name in ["a", "b"] {
                let seen = Rc::clone(&seen);
                spawn(async move {
                    for _ in 0..2 {
                        seen.borrow_mut().push(name);
                        turn().await;
                    }
                });
            }
            // Not inside of `spawn`.
            see("body");
            turn().await;
            see("body");
            turn().await;
            see("body");
        })
        .unwrap();
        let expected = ["body", "a", "b", "body", "a", "b", "body"];
        assert_eq!(*seen.borrow(), expected);
    });
}

/// The rule by which the driver blocks: at the moments when the count says that nothing ran, nothing is runnable; and
/// such a moment comes as soon as that is so.
#[test]
fn where_nothing_was_polled_nothing_is_runnable() {
    on_a_worker(|| {
        /// Who is runnable, told by the tasks themselves.
        type Runnable = Rc<RefCell<BTreeSet<usize>>>;
        const TASKS: usize = 7;
        let runnable = Runnable::default();
        let wakers = Rc::new(RefCell::new(vec![None::<Waker>; TASKS]));
        let wake = {
            let (runnable, wakers) = (Rc::clone(&runnable), Rc::clone(&wakers));
            move |task: usize| {
                if let Some(waker) = wakers.borrow_mut()[task].take() {
                    runnable.borrow_mut().insert(task);
                    waker.wake();
                }
            }
        };
        let rests = run(None, async {
            for task in 0..TASKS {
                let (runnable, wakers, wake) =
                    (Rc::clone(&runnable), Rc::clone(&wakers), wake.clone());
                let mut step = task;
                spawn(poll_fn(move |cx| {
                    runnable.borrow_mut().remove(&task);
                    wakers.borrow_mut()[task] = Some(cx.waker().clone());
                    // Chains of several lengths, now and then back to itself.
                    step = (step * 5 + 3) % 64;
                    if step % 4 != 0 {
                        wake(step % TASKS);
                    }
                    Poll::Pending
                }));
            }
            let mut rests = 0;
            let mut polls_before = polls();
            let mut idle_before = false;
            while rests < 1000 {
                turn().await;
                // One of them is this very poll.
                let idle = polls() == polls_before + 1;
                polls_before = polls();
                if idle {
                    assert_eq!(*runnable.borrow(), BTreeSet::new());
                    rests += 1;
                    wake(rests % TASKS);
                    assert!(!idle_before, "what was woken did not run");
                }
                idle_before = idle;
            }
            rests
        });
        assert_eq!(rests.unwrap(), 1000);
    });
}

/// As long as something is runnable, glommio makes no system call: neither does it look into its rings, nor does it set
/// a timer. The kernel would refuse it, and glommio panics on that.
#[test]
fn glommio_does_not_enter_its_rings_while_something_is_runnable() {
    on_a_worker(|| {
        let turns = run(None, async {
            refuse(
                &[
                    libc::SYS_io_uring_enter,
                    libc::SYS_io_uring_setup,
                    libc::SYS_membarrier,
                    libc::SYS_timerfd_settime,
                    libc::SYS_read,
                ],
                libc::EPERM,
            );
            spawn(async {
                loop {
                    turn().await;
                }
            });
            for _ in 0..100_000 {
                turn().await;
            }
            polls()
        });
        assert!(turns.unwrap() >= 200_000);
    });
}

/// The price of that. Whoever wants to reach a worker from another thread must ring the driver's own bell.
#[test]
fn wakers_from_other_threads_are_not_served() {
    on_a_worker(|| {
        let woken = Rc::new(Cell::new(false));
        run(None, async {
            let waker = Arc::new(Mutex::new(None));
            let (task, seen) = (Arc::clone(&waker), Rc::clone(&woken));
            let mut first = true;
            spawn(poll_fn(move |cx| {
                *task.lock().unwrap() = Some(cx.waker().clone());
                seen.set(!std::mem::replace(&mut first, false));
                Poll::Pending
            }));
            turn().await;
            let other = waker.lock().unwrap().take().unwrap();
            thread::spawn(move || other.wake()).join().unwrap();
            for _ in 0..1000 {
                turn().await;
            }
            assert!(!woken.get());
        })
        .unwrap();
    });
}

#[test]
fn a_panic_ends_its_task_alone() {
    on_a_worker(|| {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("in a destructor, as this test wants it");
            }
        }
        let survived = run(None, async {
            let survived = Rc::new(Cell::new(0));
            spawn(async { panic!("as this test wants it") });
            spawn(async {
                let _bad = Bad;
                turn().await;
            });
            spawn(async {
                let _bad = Bad;
                pending::<()>().await;
            });
            let count = Rc::clone(&survived);
            spawn(async move {
                for _ in 0..3 {
                    count.set(count.get() + 1);
                    turn().await;
                }
            });
            for _ in 0..4 {
                turn().await;
            }
            survived.get()
        });
        assert_eq!(survived.unwrap(), 3);
    });
}

#[test]
fn a_panic_of_the_body_is_passed_on_when_all_is_dropped() {
    if !available() {
        return;
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let worker = thread::spawn(move || {
        run(None, async {
            spawn(async move {
                struct Sets(Arc<AtomicBool>);
                impl Drop for Sets {
                    fn drop(&mut self) {
                        self.0.store(true, Ordering::Relaxed);
                    }
                }
                let _sets = Sets(seen);
                pending::<()>().await;
            });
            turn().await;
            panic!("as this test wants it");
        })
    });
    let panic = worker.join().unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as this test wants it"));
    assert!(dropped.load(Ordering::Relaxed));
}

#[test]
fn at_the_end_all_is_dropped_the_first_task_last() {
    on_a_worker(|| {
        let said = Rc::new(RefCell::new(Vec::new()));
        let say = |name| Says(name, Rc::clone(&said));
        run(None, async {
            let driver = say("driver");
            spawn(async move {
                let _driver = driver;
                loop {
                    turn().await;
                }
            });
            let (waits, spawned) = (say("waits"), say("spawned by a destructor"));
            spawn(async move {
                struct Spawns(Option<Says>);
                impl Drop for Spawns {
                    fn drop(&mut self) {
                        let says = self.0.take();
                        spawn(async move { drop(says) });
                    }
                }
                let _all = (waits, Spawns(Some(spawned)));
                pending::<()>().await;
            });
            turn().await;
            let never_polled = say("never polled");
            spawn(async move {
                let _says = never_polled;
                pending::<()>().await;
            });
        })
        .unwrap();
        let expected = ["never polled", "waits", "spawned by a destructor", "driver"];
        assert_eq!(*said.borrow(), expected);
        // Nothing is left that would keep these alive.
        assert_eq!(Rc::strong_count(&said), 1);
    });
}

#[test]
fn a_task_that_nobody_can_wake_is_kept() {
    on_a_worker(|| {
        let said = Rc::new(RefCell::new(Vec::new()));
        run(None, async {
            let says = Says("dropped", Rc::clone(&said));
            spawn(async move {
                let _says = says;
                pending::<()>().await;
            });
            for _ in 0..10 {
                turn().await;
            }
            said.borrow_mut().push("body ends");
        })
        .unwrap();
        assert_eq!(*said.borrow(), ["body ends", "dropped"]);
    });
}

#[test]
fn a_thread_can_run_one_executor_after_another_where_it_is_told_to() {
    on_a_worker(|| {
        let cpu = crate::placement::allowed_cpus().unwrap()[0];
        for _ in 0..3 {
            let there = run(Some(cpu), async {
                spawn(pending());
                turn().await;
                current_cpu()
            });
            assert_eq!(there.unwrap(), cpu);
        }
    });
}

#[expect(unsafe_code, reason = "std does not tell")]
fn current_cpu() -> usize {
    // SAFETY: the call takes nothing.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap()
}

#[test]
fn a_ring_that_is_refused_is_an_error() {
    on_a_worker(|| {
        // glommio asks once in a process what the kernel knows, and a refusal of that would stay: see `traps`.
        run(None, async {}).unwrap();
        refuse(&[libc::SYS_io_uring_setup], libc::EPERM);
        let error = run(None, async {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_panic_of_glommio_is_an_error() {
    if available() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact"])
            .arg("executor::tests::where_glommio_panics")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && told.contains("1 passed"),
            "{told}"
        );
    }
}

#[test]
#[ignore = "leaves glommio unusable in its process"]
fn where_glommio_panics() {
    let error = crate::seccomp::refused(&[libc::SYS_io_uring_setup], libc::EPERM, || {
        run(None, async {}).unwrap_err().to_string()
    });
    assert!(error.contains("glommio could not build"), "{error}");
}
