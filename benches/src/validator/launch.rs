//! Starts the processes that measure, and gives them their turns.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::contender::Contender;
use super::task::{ANSWER, READY, Task};
use super::workload::Workload;
use crate::window::TOLERATED_LOAD;

/// The programs that measure: this one, and the build with parking_lot's detector if there is one.
#[derive(Clone, Debug)]
pub struct Programs {
    ordinary: PathBuf,
    detection: Option<PathBuf>,
}

impl Programs {
    /// This program, and none with the detector.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell where this program is.
    pub fn here() -> io::Result<Self> {
        Ok(Self {
            ordinary: std::env::current_exe()?,
            detection: None,
        })
    }

    /// Builds the program with parking_lot's detector, beside this one; cargo shows how far it is.
    ///
    /// # Errors
    ///
    /// In words, if cargo does not run or fails.
    pub fn build_detection(&mut self) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = self
            .ordinary
            .ancestors()
            .nth(2)
            .unwrap_or(Path::new("target"))
            .join("deadlock-detection");
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let status = Command::new(cargo)
            .args(["build", "--release", "--bin", "validators"])
            .args(["--features", "deadlock-detection", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target)
            .status()
            .map_err(|error| format!("cargo does not run: {error}"))?;
        if !status.success() {
            return Err(format!("cargo build failed: {status}"));
        }
        self.detection = Some(target.join("release/validators"));
        Ok(())
    }

    /// Whether this contender can be measured.
    #[must_use]
    pub const fn can_measure(&self, contender: Contender) -> bool {
        !contender.needs_detection() || self.detection.is_some()
    }

    /// The command for a task of `contender`, with that environment.
    #[must_use]
    pub fn command(&self, contender: Contender) -> Command {
        let program = match &self.detection {
            Some(detection) if contender.needs_detection() => detection,
            _ => &self.ordinary,
        };
        let mut command = Command::new(program);
        command
            .env_remove("LOCKDEP")
            .env_remove("LOCKDEP_BACKTRACE");
        if let Some(words) = contender.environment() {
            command.env("LOCKDEP", words);
        }
        command
    }

    fn start(&self, contender: Contender, task: &Task) -> Result<Process, String> {
        let said = |error: io::Error| format!("{}: {error}", contender.name());
        let mut child = self
            .command(contender)
            .args(task.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(said)?;
        let output = child.stdout.take().expect("piped");
        let mut process = Process {
            contender,
            child,
            output: BufReader::new(output),
        };
        match process.answer()?.as_str() {
            READY => Ok(process),
            other => Err(format!("{} said {other}", contender.name())),
        }
    }

    /// Runs one task; what it answered.
    ///
    /// # Errors
    ///
    /// In words, if the process cannot be started or ends without an answer.
    pub fn ask(&self, contender: Contender, task: &Task) -> Result<String, String> {
        let mut process = self.start(contender, task)?;
        process.begin()?;
        process.answer()
    }

    /// One window.
    ///
    /// # Errors
    ///
    /// As for [`ask`](Self::ask).
    pub fn window(
        &self,
        contender: Contender,
        workload: Workload,
        length: Duration,
    ) -> Result<Window, String> {
        let milliseconds = u64::try_from(length.as_millis()).expect("a window is short");
        let mut processes: Vec<Process> = (0..workload.processes())
            .map(|core| {
                let task = Task::Window {
                    contender,
                    workload,
                    milliseconds,
                    core,
                };
                self.start(contender, &task)
            })
            .collect::<Result<_, _>>()?;
        for process in &mut processes {
            process.begin()?;
        }
        let windows: Vec<Window> = processes
            .iter_mut()
            .map(|process| {
                let answer = process.answer()?;
                Window::parse(&answer).ok_or_else(|| format!("{} said {answer}", contender.name()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Window::sum(&windows))
    }
}

/// A process that measures. It ends with this.
#[derive(Debug)]
struct Process {
    contender: Contender,
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn begin(&mut self) -> Result<(), String> {
        let input = self.child.stdin.as_mut().expect("piped");
        input
            .write_all(b"begin\n")
            .map_err(|error| format!("{}: {error}", self.contender.name()))
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.output.read_line(&mut line) {
                Ok(0) => return Err(format!("{} ended early", self.contender.name())),
                Ok(_) => {}
                Err(error) => return Err(format!("{}: {error}", self.contender.name())),
            }
            if let Some(answer) = line.trim_end().strip_prefix(ANSWER) {
                return Ok(answer.to_owned());
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has answered, or what it would say does not matter any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a window showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Operations of all threads and processes.
    pub operations: u64,
    /// The time of all these, added up.
    pub elapsed: Duration,
    /// How much of it they could run and were not given a core.
    pub delay: Duration,
}

impl Window {
    fn parse(answer: &str) -> Option<Self> {
        let numbers: Vec<u64> = answer
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let [operations, elapsed, delay] = numbers.try_into().ok()?;
        Some(Self {
            operations,
            elapsed: Duration::from_nanos(elapsed),
            delay: Duration::from_nanos(delay),
        })
    }

    fn sum(windows: &[Self]) -> Self {
        Self {
            operations: windows.iter().map(|window| window.operations).sum(),
            elapsed: windows.iter().map(|window| window.elapsed).sum(),
            delay: windows.iter().map(|window| window.delay).sum(),
        }
    }

    /// Nanoseconds that an operation takes its thread.
    #[must_use]
    pub fn nanoseconds(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.operations as f64
    }

    /// The share of the time that others had.
    #[must_use]
    pub fn foreign(&self) -> f64 {
        self.delay.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// Whether others disturbed it too much to count.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.foreign() > TOLERATED_LOAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_of_all_its_threads() {
        let first = Window::parse("1000 20000 0").unwrap();
        let second = Window::parse("3000 20000 6000").unwrap();
        assert_eq!(Window::parse("1000 20000"), None);
        let both = Window::sum(&[first, second]);
        assert!((first.nanoseconds() - 20.0).abs() < 1e-9);
        assert!((both.nanoseconds() - 10.0).abs() < 1e-9);
        assert!((both.foreign() - 0.15).abs() < 1e-9);
        assert!(both.is_disturbed() && !first.is_disturbed());
    }

    #[test]
    fn each_contender_has_its_environment_and_none_inherits_one() {
        let programs = Programs::here().unwrap();
        let lockdep = |contender| {
            let command = programs.command(contender);
            let variable = command.get_envs().find(|(name, _)| *name == "LOCKDEP");
            variable.unwrap().1.map(std::ffi::OsStr::to_owned)
        };
        assert_eq!(lockdep(Contender::LockdepOff), Some("off".into()));
        assert_eq!(lockdep(Contender::Lockdep), None);
        assert!(!programs.can_measure(Contender::DeadlockDetection));
    }
}
