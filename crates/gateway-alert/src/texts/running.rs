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
        code: "node_silent",
        zh: Words {
            name: "节点失联",
            what: "节点 {node}（角色：{roles}）已 {silent_s} 秒没有消息[，其缓冲中还有 {spool_messages} 条未上总线的记录]。",
            todo: "到该机器上查看服务状态并重启[；缓冲中的 {spool_messages} 条只在那台机器的磁盘上，切勿清空其数据目录]；已撤除的节点用 hotline-gateway nodes forget 注销。",
        },
        en: Words {
            name: "node silent",
            what: "The node {node} (roles: {roles}) has told nothing for {silent_s} s[; its spool holds {spool_messages} {spool_messages|record|records} that are not on the bus yet].",
            todo: "see to the service on that machine and start it again[; the {spool_messages} in its spool are on that machine's disk alone: do not clear its data directory]; a node that was taken away is signed off by hotline-gateway nodes forget.",
        },
    },
    Text {
        code: "role_absent",
        zh: Words {
            name: "角色无人承担",
            what: "没有任何在线节点承担角色 {role}，这部分工作已停止。",
            todo: "启动承担 {role} 的节点（serve --role），用 hotline-gateway nodes 查看全部节点。",
        },
        en: Words {
            name: "role absent",
            what: "No node that lives has the role {role}: this part of the work stands still.",
            todo: "start a node with it (serve --role); hotline-gateway nodes shows all nodes.",
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
