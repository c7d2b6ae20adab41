//! The words of reports, Chinese first.

use super::account::Standing;
use gateway_model::{Dataset, DeliveryState, GapKind, GapState, Operation, Origin};
use gateway_store::Leg;
use serde::Deserialize;

/// In which language people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Language {
    /// 中文
    #[default]
    Zh,
    /// English
    En,
}

impl Language {
    /// The one or the other.
    pub(crate) fn say(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    /// The tag of the language in HTML.
    pub(crate) fn tag(self) -> &'static str {
        self.say("zh-CN", "en")
    }

    pub(crate) fn dataset(self, part: Option<Dataset>) -> &'static str {
        part.map_or_else(|| self.say("未能识别", "unknown"), |part| self.say(part.chinese(), part.as_str()))
    }

    pub(crate) fn standing(self, standing: Standing) -> &'static str {
        match standing {
            Standing::Verified => self.say("核对一致", "verified"),
            Standing::Counted => self.say("数量一致", "counts agree"),
            Standing::Changed => self.say("对账后有变", "changed since"),
            Standing::Unverified => self.say("未核对", "unverified"),
            Standing::Differing => self.say("有差异", "differing"),
            Standing::Unverifiable => self.say("不可核对", "unverifiable"),
        }
    }

    pub(crate) fn leg(self, leg: Leg) -> &'static str {
        match leg {
            Leg::SourceToReceived => self.say("来源更新到接收", "source's update to received"),
            Leg::ReceivedToApplied => self.say("接收到入库", "received to applied"),
            Leg::OwedToSent => self.say("应投递到首次发送", "owed to first sent"),
            Leg::SentToAcknowledged => self.say("首次发送到确认", "first sent to acknowledged"),
        }
    }

    /// A gap's kind; English where there is no other word.
    pub(crate) fn gap_kind(self, kind: GapKind) -> &'static str {
        let zh = match kind {
            GapKind::MissingOrder => "漏单",
            GapKind::MissingItem => "缺环节",
            GapKind::Differing => "内容不一致",
            GapKind::DeniedBySource => "来源无此项",
            GapKind::NotHeldByDestination => "对端未收到",
            GapKind::HeldDifferently => "对端内容不一致",
            GapKind::CountMismatch => "数量不符",
            GapKind::ManifestUnreliable => "对账清单不可信",
            GapKind::BookDamaged => "账本损坏",
            GapKind::LostOffset => "总线丢失偏移量",
            GapKind::SpoolSilent => "失联节点的缓冲未送达",
            GapKind::AttachmentMissing => "附件缺失",
        };
        self.say(zh, kind.as_str())
    }

    pub(crate) fn gap_state(self, state: GapState) -> &'static str {
        let zh = match state {
            GapState::Suspected => "疑似",
            GapState::Open => "待修复",
            GapState::Repairing => "修复中",
            GapState::Closed => "已关闭",
            GapState::Waived => "已豁免",
        };
        self.say(zh, state.as_str())
    }

    pub(crate) fn delivery_state(self, state: DeliveryState) -> &'static str {
        self.say(state.chinese(), state.as_str())
    }

    pub(crate) fn operation(self, operation: Operation) -> &'static str {
        self.say(operation.chinese(), operation.as_str())
    }

    pub(crate) fn origin(self, origin: Origin) -> &'static str {
        self.say(origin.chinese(), origin.as_str())
    }

    /// How long something took, for people.
    pub(crate) fn duration(self, ms: u64) -> String {
        let (seconds, unit) = (ms / 1_000, |zh, en| self.say(zh, en));
        match seconds {
            0..10 => format!("{}.{:03} {}", seconds, ms % 1_000, unit("秒", "s")),
            10..120 => format!("{seconds} {}", unit("秒", "s")),
            120..7_200 => format!("{} {} {} {}", seconds / 60, unit("分", "min"), seconds % 60, unit("秒", "s")),
            7_200..172_800 => {
                format!("{} {} {} {}", seconds / 3_600, unit("小时", "h"), seconds / 60 % 60, unit("分", "min"))
            }
            _ => format!("{} {} {} {}", seconds / 86_400, unit("天", "d"), seconds / 3_600 % 24, unit("小时", "h")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_people_say_them() {
        let zh = |ms| Language::Zh.duration(ms);
        assert_eq!([zh(0), zh(1_932), zh(11_999)], ["0.000 秒", "1.932 秒", "11 秒"]);
        assert_eq!([zh(121_000), zh(83_500_000), zh(200_000_000)], ["2 分 1 秒", "23 小时 11 分", "2 天 7 小时"]);
        assert_eq!(Language::En.duration(121_000), "2 min 1 s");
    }
}
