//! `nowcast messages`: lists messages and their outcomes.

use std::process::ExitCode;

use jiff::Timestamp;

use super::cycle_option;
use super::operate::{CommonOptions, count};
use super::pages::pages;
use super::read_only::{ViewContext, check_worker};
use super::table::Table;
use super::{csv_output, print, times};
use crate::store::journal::{EventFilter, EventKind};
use crate::view::message::{MessageView, spoken_by};
use nowcast_core::parked::ParkedItem;
use nowcast_core::record::Speaker;
use nowcast_core::{Cycle, Record};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Print CSV, for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// List only messages from this worker
    #[arg(long)]
    worker: Option<String>,
    /// List only messages of this type
    #[arg(long = "type", value_name = "TYPE")]
    r#type: Option<String>,
    /// List only messages of this cycle
    #[arg(long, value_name = "ID", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
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
    /// Return the messages, newest first.
    fn messages<'a>(
        &'a self,
        context: &'a ViewContext,
    ) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<MessageView>> + 'a>> {
        if self.parked {
            let messages = MessageView::list(&self.parked_records(context)?, context)?;
            return Ok(Box::new(messages.into_iter().map(Ok)));
        }
        let within = context.within(self.cycle.as_ref())?;
        let read = move |count, before| {
            let filter = EventFilter {
                worker: self.worker.clone(),
                r#type: self.r#type.clone(),
                cycle: self.cycle.as_ref().map(Cycle::to_string),
                within,
                kind: Some(EventKind::Message),
                since: self.since,
                until: None,
                before,
                limit: Some(count),
            };
            MessageView::list(&context.history.events(&filter)?, context)
        };
        Ok(Box::new(pages(self.number, |message: &MessageView| message.number, read)))
    }

    fn parked_records(&self, context: &ViewContext) -> anyhow::Result<Vec<Record>> {
        let mut records = Vec::new();
        for parked in context.history.open_now()?.parked.iter().rev() {
            let ParkedItem::Message { source, r#type, cycle, .. } = &parked.item else { continue };
            let matches = self.worker.as_ref().is_none_or(|worker| worker == source)
                && self.r#type.as_ref().is_none_or(|selected| selected == r#type)
                && (self.cycle.is_none() || self.cycle == *cycle)
                && self.since.is_none_or(|since| parked.at.timestamp() >= since);
            if matches && records.len() < self.number as usize {
                records.extend(context.history.event(parked.id)?);
            }
        }
        Ok(records)
    }
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| {
        args.worker.as_deref().map_or(Ok(()), |worker| check_worker(worker, context))?;
        let messages = args.messages(context)?;
        if args.common.json {
            return print::json_list(messages);
        }
        if args.csv {
            return csv_output::list(&MessageView::COLUMNS, messages);
        }
        let messages = messages.collect::<anyhow::Result<Vec<_>>>()?;
        if messages.is_empty() {
            return Ok(print::text("no matching messages\n"));
        }
        let mut table =
            Table::new(&["MESSAGE", "TIME", "WORKER", "TYPE", "CYCLE", "RUN", "OUTCOME", "LAUNCHED", "NOTE"]);
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
                message.cycle.clone().unwrap_or_default(),
                message.run.map(|run| format!("#{run}")).unwrap_or_default(),
                message.outcome.word().to_owned(),
                launched.join(" "),
                note,
            ]);
        }
        table.remove_if_empty("CYCLE");
        Ok(print::table(&table))
    })
}
