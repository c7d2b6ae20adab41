//! An incident: trouble of one cause, for as long as it lasts, and what people are told of it.

use crate::dataset::UnknownWord;
use crate::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words!(
    /// An incident's life.
    IncidentState, "incident state",
    /// Found, but not for long enough that anybody is told.
    Suspected "suspected",
    /// It lasts.
    Open "open",
    /// It has not been found for long enough.
    Resolved "resolved",
);

words!(
    /// What is new about an incident, and why somebody is told.
    News, "news",
    /// It opened.
    Opened "opened",
    /// It got worse.
    Worsened "worsened",
    /// Nobody acknowledged it in time.
    Escalated "escalated",
    /// It still lasts.
    Repeated "repeated",
    /// It ended.
    Resolved "resolved",
    /// It opened and ended while notices were held back.
    Passed "passed",
    /// It lasts: the regular refresh for receivers that forget what is not repeated.
    Lasting "lasting",
    /// Nothing is wrong: a person tries the notifier.
    Test "test",
);

words!(
    /// Where a notification stands.
    NotificationState, "notification state",
    /// To be sent, until the notifier took it.
    Owed "owed",
    /// The notifier took it.
    Sent "sent",
    /// The notifier refused it for so long that it was given up; the incident itself is repeated.
    Abandoned "abandoned",
);
