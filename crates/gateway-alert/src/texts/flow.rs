//! Records and deliveries on their way.

use super::{Text, Words};

pub(super) const TEXTS: &[Text] = &[
    Text {
        code: "channel_quiet",
        zh: Words {
            name: "渠道静默",
            what: "最近 {hours} 小时只收到 {seen} 条，按该渠道的惯常应有约 {expected} 条。",
            todo: "先看 hotline-gateway status 中该渠道的轮询与推送；若我方正常，请联系对端确认其是否停止发送。",
        },
        en: Words {
            name: "channel quiet",
            what: "In the last {hours} {hours|hour|hours} {seen} {seen|record|records} came, where this channel usually sends about {expected}.",
            todo: "see polling and pushes of the channel in hotline-gateway status; if ours are well, ask the other side whether it still sends.",
        },
    },
    Text {
        code: "pipeline_lag",
        zh: Words {
            name: "处理积压",
            what: "总线上有 {records} 条记录等待处理，最早的已等待 {age_s} 秒。",
            todo: "查看 hotline-gateway status 中 pipeline 任务的错误；若无错误只是量大，等待即可。",
        },
        en: Words {
            name: "pipeline lag",
            what: "{records} {records|record|records} on the bus {records|waits|wait} to be processed, the oldest for {age_s} s.",
            todo: "see the error of the pipeline task in hotline-gateway status; without one it is only much at once, and passes.",
        },
    },
    Text {
        code: "delivery_stuck",
        zh: Words {
            name: "投递停滞",
            what: "{deliveries} 件投递长时间未能送出（共 {waiting} 件待投递），最早的已等待 {oldest_s} 秒。",
            todo: "查看该目的渠道的熔断与错误；对端恢复后会自动继续。必要时联系对端。",
        },
        en: Words {
            name: "deliveries stuck",
            what: "Of {waiting} waiting {waiting|delivery|deliveries}, {deliveries} {deliveries|has|have} not gone out for too long, the oldest for {oldest_s} s.",
            todo: "look at breaker and errors of the destination; it goes on by itself once the other side is back. Ask them if it is not.",
        },
    },
    Text {
        code: "deliveries_held",
        zh: Words {
            name: "投递待人工处理",
            what: "{deliveries} 件投递结果无法查明，等待人工决定，最早的已等待 {oldest_s} 秒。",
            todo: "向对端核实是否收到，再用重投或豁免处理（见 docs/errors.md“投递”）。",
        },
        en: Words {
            name: "deliveries held",
            what: "The outcome of {deliveries} {deliveries|delivery|deliveries} can not be found out; a person has to decide. The oldest waits for {oldest_s} s.",
            todo: "ask the other side whether it has them, then redeliver or waive (docs/errors.md, Deliveries).",
        },
    },
    Text {
        code: "deliveries_rejected",
        zh: Words {
            name: "投递被拒",
            what: "最近 {window_s} 秒内结束的 {ended} 件投递中，对端拒绝了 {rejected} 件（{percent}%）。",
            todo: "查看拒绝原因，在业务办理台更正后重投，或豁免。",
        },
        en: Words {
            name: "deliveries rejected",
            what: "Of {ended} {ended|delivery|deliveries} that ended in the last {window_s} s, the other side rejected {rejected} ({percent} %).",
            todo: "read the reasons; correct at the desk and redeliver, or waive.",
        },
    },
    Text {
        code: "receipts_overdue",
        zh: Words {
            name: "回执逾期",
            what: "{deliveries} 件投递已被对端接收，但回执逾期未到（共 {waiting} 件待回执），最早的已等待 {oldest_s} 秒。",
            todo: "向对端核实处理情况；网关会继续查询。",
        },
        en: Words {
            name: "receipts overdue",
            what: "{deliveries} of {waiting} awaited {waiting|receipt|receipts} {deliveries|is|are} overdue, the oldest for {oldest_s} s.",
            todo: "ask the other side what became of them; the gateway goes on asking too.",
        },
    },
    Text {
        code: "breaker_open",
        zh: Words {
            name: "熔断",
            what: "对端连续失败，已暂停向其投递 {open_s} 秒。",
            todo: "检查网络与对端服务；恢复后自动继续，无需操作。",
        },
        en: Words {
            name: "breaker open",
            what: "The other side failed again and again; deliveries to it pause since {open_s} s.",
            todo: "look at the network and the other side; it goes on by itself once they answer.",
        },
    },
    Text {
        code: "webhooks_all_refused",
        zh: Words {
            name: "推送全部被拒",
            what: "该渠道的推送持续全部被拒（{refused} 次：{codes}）。",
            todo: "核对双方密钥、应用标识与时钟；原因代码见 docs/errors.md“推送被拒”。",
        },
        en: Words {
            name: "all pushes refused",
            what: "Every push of the channel is refused ({refused} so far: {codes}).",
            todo: "compare secrets, application id and clocks; reasons are in docs/errors.md, Refused pushes.",
        },
    },
    Text {
        code: "clock_skew",
        zh: Words {
            name: "时钟偏差",
            what: "对端时钟与本机相差 {offset_s} 秒（{direction}：ahead 为对端偏快，behind 为偏慢）。",
            todo: "校准偏差一方的时钟（NTP）；推送会因此被拒。",
        },
        en: Words {
            name: "clock skew",
            what: "The clock of the other side differs from ours by {offset_s} s ({direction}).",
            todo: "set the clock that is wrong (NTP); pushes are refused because of it.",
        },
    },
    Text {
        code: "bus_size",
        zh: Words {
            name: "总线目录过大",
            what: "总线目录已有 {mib} MiB、{files} 个文件（上限 {limit_mib} MiB）。",
            todo: "查看 hotline-gateway status 中 pipeline 任务是否停滞，并确认磁盘空间。",
        },
        en: Words {
            name: "bus directory large",
            what: "The bus's directory holds {mib} MiB in {files} {files|file|files} (limit {limit_mib} MiB).",
            todo: "see whether the pipeline task of hotline-gateway status stands still, and whether the disk has room.",
        },
    },
    Text {
        code: "spool_depth",
        zh: Words {
            name: "缓冲积压",
            what: "总线不可用：该渠道已有 {messages} 条推送或指令暂存在节点本机的缓冲中，最早的已等待 {waiting_s} 秒。",
            todo: "恢复 Kafka（hotline-gateway status 中 spool 任务的错误说明原因）；恢复后自动补送。切勿清空该节点的数据目录，并留意磁盘空间。",
        },
        en: Words {
            name: "spool depth",
            what: "The bus is away: {messages} {messages|push or command|pushes or commands} of the channel {messages|waits|wait} in the spool, the oldest for {waiting_s} s.",
            todo: "bring Kafka back (the error of the task spool in hotline-gateway status says what is wrong); the rest goes by itself. Do not clear the node's data directory, and mind its disk.",
        },
    },
    Text {
        code: "poll_behind",
        zh: Words {
            name: "轮询落后",
            what: "该渠道的轮询已落后 {behind_s} 秒[，上次轮询完成于 {last_sweep}][，已读到 {through}]。",
            todo: "查看该渠道轮询任务的错误与对端限速；必要时提高对接参数中的速率或联系对端。",
        },
        en: Words {
            name: "polling behind",
            what: "Polling of the channel is {behind_s} s behind[; the last whole poll ended at {last_sweep}][; it read through {through}].",
            todo: "see the errors of its poll task and what the other side allows; raise the rate in the wire profile or ask them.",
        },
    },
    Text {
        code: "dead_letters_open",
        zh: Words {
            name: "死信未处理",
            what: "有 {letters} 条死信等待处理，最早的已等待 {oldest_s} 秒。",
            todo: "用 hotline-gateway dead-letters list 查看，逐条 retry 或 waive。",
        },
        en: Words {
            name: "dead letters open",
            what: "{letters} {letters|dead letter waits|dead letters wait} for somebody, the oldest for {oldest_s} s.",
            todo: "hotline-gateway dead-letters list, then retry or waive each.",
        },
    },
    Text {
        code: "parked_overdue",
        zh: Words {
            name: "暂存逾期",
            what: "{records} 条更新等待其工单到达已逾期，最早的已等待 {age_s} 秒。",
            todo: "运行 hotline-gateway reconcile，若来源有该工单会自动补采；否则逾期后转为死信。",
        },
        en: Words {
            name: "parked updates overdue",
            what: "{records} {records|update waits for its order|updates wait for their orders} for too long, the oldest for {age_s} s.",
            todo: "hotline-gateway reconcile: if the source has the order it is fetched; else they become dead letters.",
        },
    },
    Text {
        code: "verification_overdue",
        zh: Words {
            name: "核查逾期",
            what: "运营数据服务未应答，{orders} 件工单仍未核查（共 {waiting} 件待核查，最早的已等待 {oldest_s} 秒）；工单照常受理。",
            todo: "用 hotline-gateway status 查看 look-up/operating-data 的错误，检查网络、密钥或联系数据服务方；恢复后自动补核。",
        },
        en: Words {
            name: "verification overdue",
            what: "the operating-data service does not answer: {orders} {orders|order is|orders are} not verified yet ({waiting} wait in all, the oldest for {oldest_s} s); the orders go on.",
            todo: "see the error of look-up/operating-data in hotline-gateway status: network, secret, or the service's operator; what waits is verified by itself afterwards.",
        },
    },
];
