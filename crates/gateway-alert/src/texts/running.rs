//! The gateway itself.

use super::{Text, Words};

pub(super) const TEXTS: &[Text] = &[
    Text {
        code: "disk_low",
        zh: Words {
            name: "磁盘空间不足",
            what: "{directory} 目录所在磁盘仅剩 {free_mib} MiB（{free_percent}%）[，预计还能用 {days_left} 天]。",
            todo: "清理或扩容；写满后网关将停止接收。",
        },
        en: Words {
            name: "disk low",
            what: "{free_mib} MiB ({free_percent} %) are left on the disk of the directory {directory}[; enough for {days_left} {days_left|day|days}].",
            todo: "make room or enlarge it; when it is full the gateway takes nothing any more.",
        },
    },
    Text {
        code: "credential_expiring",
        zh: Words {
            name: "凭据即将到期",
            what: "凭据或证书即将到期。",
            todo: "向签发方申请新的凭据，按 docs/operations.md 更换。",
        },
        en: Words {
            name: "credential expiring",
            what: "A credential or certificate is about to expire.",
            todo: "ask its issuer for a new one and replace it as docs/operations.md tells.",
        },
    },
    Text {
        code: "task_stalled",
        zh: Words {
            name: "任务停滞",
            what: "后台任务 {task} 已 {for_s} 秒未成功执行或已终止[（{error_code}：{error}）]。",
            todo: "查看 hotline-gateway status 中该任务的错误与日志；必要时重启网关。",
        },
        en: Words {
            name: "task stalled",
            what: "The background task {task} has not succeeded for {for_s} s, or has ended[ ({error_code}: {error})].",
            todo: "see its error in hotline-gateway status and the log; restart the gateway if need be.",
        },
    },
    Text {
        code: "check_failed",
        zh: Words {
            name: "检查失败",
            what: "检查 {subject} 无法进行，其结论未知（不等于正常）。",
            todo: "查看原因；多为存储不可用或磁盘故障。",
        },
        en: Words {
            name: "check failed",
            what: "The check {subject} can not look: what it would find is not known, which does not mean that all is well.",
            todo: "see the reason; mostly the store or the disk.",
        },
    },
    Text {
        code: "notifier_failing",
        zh: Words {
            name: "通知渠道故障",
            what: "通知渠道 {subject} 连续 {count} 次发送失败，经由它的通知未送达。",
            todo: "检查其地址、密钥与网络，用 hotline-gateway alert test 验证；未送达的会自动补发。",
        },
        en: Words {
            name: "notifier failing",
            what: "The notifier {subject} failed {count} {count|time|times} in a row: what goes through it is not told.",
            todo: "look at its address, secret and network, and try it with hotline-gateway alert test; what is owed is sent by itself then.",
        },
    },
    Text {
        code: "test_notice",
        zh: Words {
            name: "测试通知", what: "这是一条测试通知，没有发生故障。", todo: "无需处理。"
        },
        en: Words { name: "test notice", what: "This is a test: nothing is wrong.", todo: "nothing." },
    },
];
