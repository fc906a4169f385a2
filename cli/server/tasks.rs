//! The tasks of a server, each with a name, owned until they are joined.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};
use tracing::error;

/// Tasks that run, by name.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits for any task to end; gives its name, and why if it panicked.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next_ended(&mut self) -> (&'static str, Option<String>) {
        match self.running.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => ("everything", None),
        }
    }

    /// Waits for one task to end, and for those that end before it.
    pub(super) async fn join(&mut self, name: &str) {
        while self.names.values().any(|running| *running == name) {
            let (part, reason) = self.next_ended().await;
            log(part, reason);
        }
    }

    /// Waits for all tasks to end.
    pub(super) async fn join_all(&mut self) {
        while !self.names.is_empty() {
            let (part, reason) = self.next_ended().await;
            log(part, reason);
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) -> (&'static str, Option<String>) {
        let (id, reason) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        (self.names.remove(&id).unwrap_or("a task"), reason)
    }
}

fn log(part: &str, reason: Option<String>) {
    if let Some(reason) = reason {
        error!(part, reason, "a part failed while the server stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: one task panics, one ends, one was joined before it is asked for again.
    /// Guarantees: each is reported by name once, and waiting for what has ended does not hang.
    #[tokio::test]
    async fn tasks_are_joined_by_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("short", async {});
        tasks.join("short").await;
        tasks.join("short").await;
        tasks.spawn("bad", async { panic!("on purpose") });
        let (name, reason) = tasks.next_ended().await;
        assert_eq!(name, "bad");
        assert!(reason.is_some());
        tasks.spawn("last", async {});
        tasks.join_all().await;
        assert_eq!(tasks.next_ended().await, ("everything", None));
    }
}
