//! The threads of a history: real ones, of which one works at a time.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// Thread 0 is the caller's.
pub(crate) struct Crew {
    others: Vec<(Sender<Job>, JoinHandle<()>)>,
}

impl Crew {
    pub(crate) const SIZE: usize = 3;

    pub(crate) fn new() -> Crew {
        let hire = |_| {
            let (jobs, todo) = channel::<Job>();
            let work = move || todo.into_iter().for_each(|job| job());
            (jobs, std::thread::spawn(work))
        };
        Crew {
            others: (1..Self::SIZE).map(hire).collect(),
        }
    }

    /// Runs `job` on a thread and waits for it.
    pub(crate) fn on<R, F>(&self, thread: usize, job: F) -> R
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        if thread == 0 {
            return job();
        }
        let (reply, answer) = channel();
        let job = Box::new(move || reply.send(job()).expect("the caller waits"));
        let (jobs, _) = &self.others[thread - 1];
        jobs.send(job).expect("the thread waits for jobs");
        answer.recv().expect("the job does not panic")
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (jobs, thread) in self.others.drain(..) {
            drop(jobs);
            // A job that panicked has failed the test already.
            let _ = thread.join();
        }
    }
}
