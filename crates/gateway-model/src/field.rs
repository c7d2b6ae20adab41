//! The canonical fields of a work order: one closed list with the kind, the dataset and the Chinese name of each.
//!
//! A closed list instead of free text: an authority table, a wire profile or a report that names a field that does not exist is a mistake
//! found at start. What a channel says beyond the list is kept raw beside it, never dropped.

use crate::dataset::UnknownWord;
use crate::{Dataset, Moment, parse_moment};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a field's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Free text, kept byte for byte.
    Text,
    /// A canonical code of a closed or growing set; a code that the profile does not know is kept as `raw:<code>`.
    Code,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// A time or a day.
    Time,
}

macro_rules! fields {
    ($($variant:ident $name:literal $dataset:ident $kind:ident $person:literal $chinese:literal;)*) => {
        /// A canonical field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $chinese] $variant,)*
        }

        impl Field {
            /// Every field, in the order of an order's life.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// The name in code, JSON and profiles.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// The dataset that the field belongs to.
            #[must_use]
            pub fn dataset(self) -> Dataset {
                match self { $(Field::$variant => Dataset::$dataset,)* }
            }

            /// What the value is.
            #[must_use]
            pub fn kind(self) -> FieldKind {
                match self { $(Field::$variant => FieldKind::$kind,)* }
            }

            /// Whether the field identifies a person; such fields live only in `raw_record` and `work_order_person`.
            #[must_use]
            pub fn is_person(self) -> bool {
                match self { $(Field::$variant => $person,)* }
            }

            /// Whether it leaves for another channel only by a rule's grant: a person's field, and the pictures, on which persons can be seen.
            #[must_use]
            pub fn needs_grant(self) -> bool {
                self.is_person() || self == Field::Pictures
            }

            /// The Chinese term.
            #[must_use]
            pub fn chinese(self) -> &'static str {
                match self { $(Field::$variant => $chinese,)* }
            }
        }
    };
}

fields! {
    OrderType "order_type" Acceptance Code false "工单类型";
    MatterCategory "matter_category" Acceptance Text false "事项分类";
    Title "title" Acceptance Text false "标题";
    Content "content" Acceptance Text false "主要内容";
    IntakeMethod "intake_method" Acceptance Text false "受理渠道";
    Address "address" Acceptance Text false "事发地";
    OccurredAt "occurred_at" Acceptance Time false "事发时间";
    Urgency "urgency" Acceptance Code false "紧急程度";
    IsSecret "is_secret" Acceptance Flag false "是否保密";
    IsAnonymous "is_anonymous" Acceptance Flag false "是否匿名";
    AcceptedAt "accepted_at" Acceptance Time false "受理时间";
    RequesterName "requester_name" Acceptance Text true "诉求人姓名";
    RequesterPhone "requester_phone" Acceptance Text true "来电号码";
    ContactPhone "contact_phone" Acceptance Text true "联系电话";
    PlateWritten "plate_written" Acceptance Text false "被投诉车辆号牌（原文）";
    Plate "plate" Acceptance Text false "被投诉车辆号牌（规范）";
    PlateColour "plate_colour" Acceptance Code false "号牌颜色";
    OperatorCompany "operator_company" Acceptance Text false "被投诉企业";
    DriverName "driver_name" Acceptance Text true "驾驶员姓名";
    DriverLicence "driver_licence" Acceptance Text true "从业资格证号";
    TripFrom "trip_from" Acceptance Time false "上车时间";
    TripTo "trip_to" Acceptance Time false "下车时间";
    Pickup "pickup" Acceptance Text false "上车地点";
    Dropoff "dropoff" Acceptance Text false "下车地点";
    QrCode "qr_code" Acceptance Text false "车载二维码编号";
    Pictures "pictures" Acceptance Text false "图片引用";
    RelatedNumber "related_number" Acceptance Text false "关联工单编号";
    State "state" Handling Code false "工单状态";
    HandlingUnit "handling_unit" Handling Text false "承办单位";
    DeadlineAt "deadline_at" Handling Time false "办理截止时间";
    Round "round" Handling Number false "办理轮次";
    EventKind "event_kind" Handling Code false "流转事件类型";
    EventText "event_text" Handling Text false "流转意见";
    Operator "operator" Handling Text false "经办人";
    UnitRole "unit_role" Handling Code false "承办角色";
    ExtendedTo "extended_to" Handling Time false "延期至";
    ExtensionDays "extension_days" Handling Number false "申请延期天数";
    AppealGround "appeal_ground" Handling Code false "申诉事由";
    ReplyText "reply_text" Completion Text false "答复意见";
    RepliedAt "replied_at" Completion Time false "答复时间";
    ReplyUnit "reply_unit" Completion Text false "答复单位";
    VisitNumber "visit_number" Evaluation Number false "回访次数";
    VisitedAt "visited_at" Evaluation Time false "回访时间";
    VisitConnected "visit_connected" Evaluation Flag false "是否接通";
    Satisfaction "satisfaction" Evaluation Code false "满意度";
    IsSolved "is_solved" Evaluation Flag false "是否解决";
    VisitOpinion "visit_opinion" Evaluation Text false "回访意见";
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Field {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|field| field.as_str() == text).ok_or(UnknownWord("field"))
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("unknown field `{text}`")))
    }
}

/// A value of a field. A value that does not fit the field's kind stays [`FieldValue::Text`], as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Text or code.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A time or a day.
    Time(Moment),
}

impl FieldValue {
    /// The text of a text or code.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            FieldValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub fn as_number(&self) -> Option<i64> {
        match self {
            FieldValue::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The time.
    #[must_use]
    pub fn as_moment(&self) -> Option<Moment> {
        match self {
            FieldValue::Time(moment) => Some(*moment),
            _ => None,
        }
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        FieldValue::Text(text.to_owned())
    }
}

/// Fields with their values, in the canonical order. Absent is absent: there is no null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Fields(pub BTreeMap<Field, FieldValue>);

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&FieldValue> {
        self.0.get(&field)
    }

    /// The text of a field.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        self.get(field).and_then(FieldValue::as_text)
    }

    /// The number of a field.
    #[must_use]
    pub fn number(&self, field: Field) -> Option<i64> {
        self.get(field).and_then(FieldValue::as_number)
    }

    /// The time of a field.
    #[must_use]
    pub fn moment(&self, field: Field) -> Option<Moment> {
        self.get(field).and_then(FieldValue::as_moment)
    }

    /// Sets a field.
    pub fn set(&mut self, field: Field, value: FieldValue) {
        self.0.insert(field, value);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &FieldValue)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }
}

impl FromIterator<(Field, FieldValue)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Field, FieldValue)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            map.serialize_entry(field.as_str(), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = BTreeMap::<Field, serde_json::Value>::deserialize(deserializer)?;
        wire.into_iter().map(|(field, value)| Ok((field, read_value(field, value)?))).collect::<Result<_, D::Error>>()
    }
}

/// Reads a value by its field's kind.
pub(crate) fn read_value<E: serde::de::Error>(field: Field, value: serde_json::Value) -> Result<FieldValue, E> {
    match (field.kind(), value) {
        (FieldKind::Time, serde_json::Value::String(text)) => {
            Ok(parse_moment(&text).map_or(FieldValue::Text(text), FieldValue::Time))
        }
        (_, serde_json::Value::String(text)) => Ok(FieldValue::Text(text)),
        (FieldKind::Number, serde_json::Value::Number(number)) => number
            .as_i64()
            .map(FieldValue::Number)
            .ok_or_else(|| E::custom(format!("field `{field}` is not a whole number"))),
        (FieldKind::Flag, serde_json::Value::Bool(flag)) => Ok(FieldValue::Flag(flag)),
        _ => Err(E::custom(format!("field `{field}` has a value of another kind"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_round_trip_by_kind() {
        let text = r#"{"title":"a\tb","occurred_at":"2026-11-23","is_secret":true,"round":2}"#;
        let fields: Fields = serde_json::from_str(text).unwrap();
        assert_eq!(fields.moment(Field::OccurredAt).map(Moment::is_date_only), Some(true));
        let again: Fields = serde_json::from_str(&serde_json::to_string(&fields).unwrap()).unwrap();
        assert_eq!(fields, again);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<Fields>(r#"{"tittle":"x"}"#).is_err());
    }
}
