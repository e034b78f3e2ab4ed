//! `nowcast messages`: lists messages and their outcomes.

use std::process::ExitCode;

use jiff::Timestamp;

use super::operate::{CommonOptions, count};
use super::read_only::check_worker;
use super::table::Table;
use super::{print, times};
use crate::store::journal::{EventFilter, EventKind};
use crate::view::message::{MessageView, spoken_by};
use nowcast_core::Record;
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::{RecordedEvent, Speaker};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// List only messages from this worker
    #[arg(long)]
    worker: Option<String>,
    /// List only messages of this type
    #[arg(long = "type", value_name = "TYPE")]
    r#type: Option<String>,
    /// List only messages since this time, such as 2d, 06:00 or 2026-03-14
    #[arg(long, value_name = "TIME", value_parser = times::since)]
    since: Option<Timestamp>,
    /// Maximum number of entries, newest first
    #[arg(short, value_name = "COUNT", default_value_t = 20, value_parser = count)]
    number: u32,
    /// List only parked messages: their rule failed, and "nowcast retry" decides them again
    #[arg(long)]
    parked: bool,
}

impl Args {
    fn records(&self, context: &super::read_only::ViewContext) -> anyhow::Result<Vec<Record>> {
        if !self.parked {
            return Ok(context.history.events(&EventFilter {
                worker: self.worker.clone(),
                r#type: self.r#type.clone(),
                kind: Some(EventKind::Message),
                since: self.since,
                until: None,
                limit: Some(self.number),
            })?);
        }
        let mut records = Vec::new();
        for parked in context.history.open_now()?.parked.iter().rev() {
            let ParkedItem::Message { source, r#type, .. } = &parked.item else { continue };
            let is_wanted = self.worker.as_ref().is_none_or(|worker| worker == source)
                && self.r#type.as_ref().is_none_or(|wanted| wanted == r#type)
                && self.since.is_none_or(|since| parked.at.timestamp() >= since);
            if is_wanted && records.len() < self.number as usize {
                records.extend(context.history.event(parked.id)?);
            }
        }
        Ok(records)
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        args.worker.as_deref().map_or(Ok(()), |worker| check_worker(worker, context))?;
        let mut messages = Vec::new();
        for record in args.records(context)? {
            if let RecordedEvent::Message(message) = &record.event {
                messages.push(MessageView::new(&record, message, context)?);
            }
        }
        if args.common.json {
            return Ok(print::json(&messages));
        }
        if messages.is_empty() {
            return Ok(print::text("no matching messages\n"));
        }
        let mut table =
            Table::new(&["MESSAGE", "TIME", "WORKER", "TYPE", "RUN", "OUTCOME", "LAUNCHED", "NOTE"]);
        for message in &messages {
            let launched: Vec<String> = message.launched.iter().map(|run| format!("#{run}")).collect();
            let note = match (message.reason_line(), message.speaker) {
                (Some(reason), _) => reason.to_owned(),
                (None, Speaker::Worker) => String::new(),
                (None, speaker) => spoken_by(speaker).to_owned(),
            };
            table.row([
                format!("#{}", message.number),
                times::second(message.time, &context.now),
                message.worker.clone().unwrap_or_default(),
                message.r#type.clone().unwrap_or_default(),
                message.run.map(|run| format!("#{run}")).unwrap_or_default(),
                message.outcome.word().to_owned(),
                launched.join(" "),
                note,
            ]);
        }
        Ok(print::table(&table))
    })
}
