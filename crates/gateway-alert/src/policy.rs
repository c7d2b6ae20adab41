//! What the configuration means: paces, routes and quiet hours, checked.

use crate::Mistake;
use crate::config::{AlertConfig, PaceConfig, QuietConfig, RouteConfig};
use gateway_model::{CHINA, ChannelId, IncidentState, Severity, Timestamp};
use gateway_store::IncidentRow;
use std::collections::BTreeSet;

/// How incidents go, and who is told.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    info: PaceConfig,
    warning: PaceConfig,
    critical: PaceConfig,
    pub(crate) group_window_ms: u64,
    pub(crate) repeat_acknowledged_ms: u64,
    /// Every notifier's id.
    pub(crate) notifiers: BTreeSet<String>,
    routes: Vec<Route>,
    default_route: Route,
}

/// A notifier that is to be told of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) notifier: String,
    /// Whether its route is in its quiet hours; critical ones go through them.
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone)]
struct Route {
    channels: Vec<String>,
    codes: Vec<String>,
    min_severity: Severity,
    to: Vec<String>,
    escalate_to: Vec<String>,
    quiet: Option<Quiet>,
    proceed: bool,
}

/// Minutes of the day in China.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    from: u16,
    until: u16,
}

impl Quiet {
    fn at(self, now: Timestamp) -> bool {
        let time = CHINA.to_datetime(now);
        let minute = time.hour() as u16 * 60 + time.minute() as u16;
        if self.from <= self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// The severity with which people are told: a step up for every escalation.
pub(crate) fn effective(incident: &IncidentRow) -> Severity {
    (0..incident.escalation.min(2)).fold(incident.severity, |severity, _| match severity {
        Severity::Info => Severity::Warning,
        Severity::Warning | Severity::Critical => Severity::Critical,
    })
}

impl Policy {
    pub(crate) fn new(config: &AlertConfig, mistakes: &mut Vec<Mistake>) -> Self {
        let notifiers: BTreeSet<String> = config.notifiers.iter().map(|notifier| notifier.id.clone()).collect();
        let mut read = |key: String, route: &RouteConfig| read_route(&key, route, &notifiers, mistakes);
        let mut routes = Vec::new();
        for (at, route) in config.routes.iter().enumerate() {
            routes.push(read(format!("alert.route[{at}]"), route));
        }
        let mut default_route = read("alert.default_route".into(), &config.default_route);
        if default_route.to.is_empty() {
            default_route.to = notifiers.iter().cloned().collect();
        }
        for (at, route) in config.routes.iter().enumerate() {
            if route.to.is_empty() && route.escalate_to.is_empty() {
                mistakes.push(Mistake::new(
                    format!("alert.route[{at}].to"),
                    "is empty: name the notifiers that are told, or take the route out and make a silence",
                ));
            }
        }
        for (name, set) in [
            ("channels", !config.default_route.channels.is_empty()),
            ("codes", !config.default_route.codes.is_empty()),
            ("min_severity", config.default_route.min_severity != Severity::Info),
        ] {
            if set {
                mistakes.push(Mistake::new(
                    format!("alert.default_route.{name}"),
                    "means nothing there: the default route takes whatever no route matches; make it an [[alert.route]]",
                ));
            }
        }
        let least = |key: &str, value: u64, least: u64, mistakes: &mut Vec<Mistake>| {
            if value < least {
                mistakes.push(Mistake::new(format!("alert.{key}"), format!("must be at least {least}")));
            }
        };
        least("every_ms", config.every_ms, 100, mistakes);
        least("check_timeout_ms", config.check_timeout_ms, 100, mistakes);
        least("lease_ms", config.lease_ms, 1_000, mistakes);
        least("keep_days", config.keep_days.into(), 1, mistakes);
        least("give_up_after_ms", config.give_up_after_ms, 60_000, mistakes);
        for (name, pace) in [("info", config.info), ("warning", config.warning), ("critical", config.critical)] {
            least(&format!("{name}.repeat_every_ms"), pace.repeat_every_ms, 1_000, mistakes);
        }
        Self {
            info: config.info,
            warning: config.warning,
            critical: config.critical,
            group_window_ms: config.group_window_ms,
            repeat_acknowledged_ms: config.repeat_acknowledged_ms.max(1_000),
            notifiers,
            routes,
            default_route,
        }
    }

    pub(crate) fn pace(&self, severity: Severity) -> PaceConfig {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    /// How often a lasting incident is told again.
    pub(crate) fn repeat_every_ms(&self, incident: &IncidentRow) -> u64 {
        if incident.acknowledged_at.is_some() {
            return self.repeat_acknowledged_ms;
        }
        self.pace(effective(incident)).repeat_every_ms
    }

    /// Who is told of an incident now, each notifier once; where two routes name one, the one that is not quiet counts.
    pub(crate) fn targets(&self, incident: &IncidentRow, now: Timestamp) -> Vec<Target> {
        let severity = effective(incident);
        let mut targets: Vec<Target> = Vec::new();
        let mut matched = false;
        for route in &self.routes {
            if !route.matches(&incident.code, incident.channel.as_ref(), severity) {
                continue;
            }
            matched = true;
            route.add(incident, now, &mut targets);
            if !route.proceed {
                break;
            }
        }
        if !matched {
            self.default_route.add(incident, now, &mut targets);
        }
        targets
    }
}

impl Route {
    fn matches(&self, code: &str, channel: Option<&ChannelId>, severity: Severity) -> bool {
        severity >= self.min_severity
            && (self.codes.is_empty() || self.codes.iter().any(|wanted| wanted == code))
            && (self.channels.is_empty()
                || channel.is_some_and(|channel| self.channels.iter().any(|wanted| wanted == channel.as_str())))
    }

    fn add(&self, incident: &IncidentRow, now: Timestamp, targets: &mut Vec<Target>) {
        // What has ended is no reason to wake anybody, however much it mattered.
        let critical = effective(incident) == Severity::Critical && incident.state != IncidentState::Resolved;
        let quiet = !critical && self.quiet.is_some_and(|quiet| quiet.at(now));
        let escalated = self.escalate_to.iter().filter(|_| incident.escalation > 0);
        for notifier in self.to.iter().chain(escalated) {
            // Who fails is not told of it through itself.
            if incident.code == crate::NOTIFIER_FAILING && incident.subject == *notifier {
                continue;
            }
            match targets.iter_mut().find(|target| target.notifier == *notifier) {
                Some(target) => target.quiet &= quiet,
                None => targets.push(Target { notifier: notifier.clone(), quiet }),
            }
        }
    }
}

fn read_route(key: &str, route: &RouteConfig, notifiers: &BTreeSet<String>, mistakes: &mut Vec<Mistake>) -> Route {
    for (list, name) in [(&route.to, "to"), (&route.escalate_to, "escalate_to")] {
        for (at, id) in list.iter().enumerate() {
            if !notifiers.contains(id) {
                mistakes.push(Mistake::new(format!("{key}.{name}[{at}]"), format!("there is no notifier `{id}`")));
            }
        }
    }
    for (at, code) in route.codes.iter().enumerate() {
        if crate::texts::find(code).is_none() {
            mistakes.push(Mistake::new(
                format!("{key}.codes[{at}]"),
                format!("`{code}` is no code of an incident: see docs/alerts.md"),
            ));
        }
    }
    let quiet = route.quiet.as_ref().and_then(|quiet| read_quiet(key, quiet, mistakes));
    Route {
        channels: route.channels.clone(),
        codes: route.codes.clone(),
        min_severity: route.min_severity,
        to: route.to.clone(),
        escalate_to: route.escalate_to.clone(),
        quiet,
        proceed: route.proceed,
    }
}

fn read_quiet(key: &str, quiet: &QuietConfig, mistakes: &mut Vec<Mistake>) -> Option<Quiet> {
    let mut read = |name: &str, text: &str| {
        let minute = read_minute(text);
        if minute.is_none() {
            mistakes.push(Mistake::new(
                format!("{key}.quiet.{name}"),
                format!("`{text}` is no time of day as `22:00`, in China time"),
            ));
        }
        minute
    };
    let (from, until) = (read("from", &quiet.from), read("until", &quiet.until));
    Some(Quiet { from: from?, until: until? })
}

fn read_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let read = |text: &str, most: u16| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
            .filter(|value| *value <= most)
    };
    let (hour, minute) = (read(hour, 24)?, read(minute, 59)?);
    let minutes = hour * 60 + minute;
    (minutes <= 24 * 60).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::{Quiet, read_minute};

    #[test]
    fn times_of_day_are_read_and_nothing_else() {
        assert_eq!(read_minute("00:00"), Some(0));
        assert_eq!(read_minute("22:30"), Some(1350));
        assert_eq!(read_minute("24:00"), Some(1440));
        for text in ["", "7:30", "24:01", "22:60", "22", "22:00:00", "-1:00", "二十二:00"] {
            assert_eq!(read_minute(text), None, "{text}");
        }
    }

    #[test]
    fn quiet_hours_may_pass_midnight() {
        let night = Quiet { from: 1320, until: 450 };
        // 22:00 and 07:29 in China are quiet, 07:30 and 21:59 are not.
        for (utc, quiet) in [("14:00", true), ("23:29", true), ("23:30", false), ("13:59", false)] {
            assert_eq!(night.at(format!("2026-11-23T{utc}:00Z").parse().unwrap()), quiet, "{utc}");
        }
        let never = Quiet { from: 60, until: 60 };
        assert!(!never.at("2026-11-23T17:00:00Z".parse().unwrap()));
    }
}
