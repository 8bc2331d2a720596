//! How to start a child.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::Child;
use super::descriptors::Descriptors;

/// How to start a child process, with the methods of [`std::process::Command`].
///
/// # Examples
///
/// ```
/// use kapok::process::Command;
///
/// let output = Command::new("echo").arg("hello").output()?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    command: std::process::Command,
    descriptors: Descriptors,
    /// Which standard streams the caller has chosen: the others depend on how the child is started.
    chosen: Chosen,
    options: ChildOptions,
}

/// What a [`Child`] has to know of how it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChildOptions {
    pub(super) kill_on_drop: bool,
    /// It has a process group of its own number.
    pub(super) leads_group: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command that runs `program`, which is looked for in `PATH`. See [`std::process::Command::new`] for all defaults.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: std::process::Command::new(program),
            descriptors: Descriptors::default(),
            chosen: Chosen::default(),
            options: ChildOptions::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Sets what the program sees as its own name, in the place of its path.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg0(name);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        self.command.envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.command.env_remove(key);
        self
    }

    /// Lets the child inherit no variables.
    pub fn env_clear(&mut self) -> &mut Self {
        self.command.env_clear();
        self
    }

    /// Sets the child's working directory. Default is this process's.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets the child's input. Default is this process's, for [`Self::output`] nothing.
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdin = true;
        self.command.stdin(stream);
        self
    }

    /// Sets the child's output. Default is this process's, for [`Self::output`] a pipe.
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdout = true;
        self.command.stdout(stream);
        self
    }

    /// Sets the child's error stream. Default is this process's, for [`Self::output`] a pipe.
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.chosen.stderr = true;
        self.command.stderr(stream);
        self
    }

    /// Gives the child a duplicate of `descriptor` at `number`, from 3 to 127, beside the standard streams. No others are
    /// inherited.
    ///
    /// The duplicate is made here and kept for every child of this command, so the original may be closed. Children are then
    /// started by `fork` and not by the cheaper `posix_spawn`. A number that is given twice gets the last one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another number, and those of the system, if it has no descriptor to spare.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::process::Command;
    /// use std::io::Write;
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// writer.write_all(b"by number 3")?;
    /// drop(writer);
    /// let output = Command::new("sh").args(["-c", "cat <&3"]).descriptor(&reader, 3)?.output()?;
    /// assert_eq!(output.stdout, b"by number 3");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn descriptor(&mut self, descriptor: impl AsFd, number: RawFd) -> io::Result<&mut Self> {
        self.descriptors
            .add(&mut self.command, descriptor.as_fd(), number)?;
        Ok(self)
    }

    /// Sets the child's user.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.command.uid(id);
        self
    }

    /// Sets the child's group.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.command.gid(id);
        self
    }

    /// Sets the child's process group; 0 makes a new one with the child's own number, which Ctrl-C does not reach and
    /// [`Child::signal_group`] does.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.options.leads_group = group == 0;
        self.command.process_group(group);
        self
    }

    /// Whether a [`Child`] that is dropped before it was waited for is killed. Default is not.
    ///
    /// A fiber that is cancelled drops its children, so with this they end with it. What the child has started itself is not
    /// killed.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.options.kill_on_drop = kill;
        self
    }

    /// Starts the child. By default it has the standard streams of this process.
    ///
    /// This blocks the hub for the system's work, a millisecond or so: until the program has replaced this one in the child. It
    /// is not done on the thread pool, since a child belongs to the thread that started it (`PR_SET_PDEATHSIG` kills it with
    /// that thread, and the pool's come and go), and so that no cancel comes between the child and its handle.
    ///
    /// # Errors
    ///
    /// As [`std::process::Command::spawn`], as if there is no such program.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let child = self.descriptors.spawn(&mut self.command)?;
        Child::of(child, self.options)
    }

    /// Starts the child with the standard streams of this process, and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Self::spawn`] and [`Child::wait`].
    #[switchpoint(wakes = "the child's end", cancel = "the child is dropped")]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts the child without input, waits for its end and returns its status and all it wrote.
    ///
    /// Streams that were chosen stay so. As [`Child::wait_with_output`] it has no limits.
    ///
    /// # Errors
    ///
    /// Those of [`Self::spawn`] and [`Child::wait_with_output`].
    #[switchpoint(
        wakes = "the child's output, and its end",
        cancel = "the child is dropped, its output lost"
    )]
    pub fn output(&mut self) -> io::Result<Output> {
        if !self.chosen.stdin {
            self.command.stdin(Stdio::null());
        }
        self.choose_outputs(Stdio::piped);
        let child = self.spawn();
        if !self.chosen.stdin {
            self.command.stdin(Stdio::inherit());
        }
        self.choose_outputs(Stdio::inherit);
        child?.wait_with_output()
    }

    fn choose_outputs(&mut self, stream: fn() -> Stdio) {
        if !self.chosen.stdout {
            self.command.stdout(stream());
        }
        if !self.chosen.stderr {
            self.command.stderr(stream());
        }
    }

    /// The program, as it was given.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.command.get_program()
    }

    /// The arguments, without the program's own name.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.command.get_args()
    }

    /// The variables that were set, with their values, and those that were taken out, with none. Inherited ones are not told.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.command.get_envs()
    }

    /// The working directory that was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.command.get_current_dir()
    }

    /// The command as std's, to look at it.
    #[must_use]
    pub fn as_std(&self) -> &std::process::Command {
        &self.command
    }

    /// The command as std's, for what has no method here. Set the standard streams by this type's methods, which take note of
    /// them.
    #[must_use]
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.command
    }
}

impl From<std::process::Command> for Command {
    /// The command's input stays as it is, since std tells nobody whether it was chosen; [`Self::output`] makes pipes of the
    /// rest.
    fn from(command: std::process::Command) -> Self {
        Self {
            command,
            descriptors: Descriptors::default(),
            chosen: Chosen {
                stdin: true,
                ..Chosen::default()
            },
            options: ChildOptions::default(),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(formatter)
    }
}
