//! What a repair would do, and the list of gaps that goes to the other side.
//!
//! The list says what is missing or different by number, never who: it leaves the house.

use crate::Problem;
use crate::extract::{PageSize, Params};
use crate::gap_groups::{Stops, known_group};
use crate::state::Channels;
use crate::views::ChinaTime;
use axum::Json;
use axum::extract::State;
use gateway_model::{ChannelId, Clock, Dataset, GapGroupId, GapId, GapKind, GapState, RepairStep, format_china};
use gateway_store::{GapFilter, GapRow, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenGaps {
    channel: Option<ChannelId>,
    group: Option<GapGroupId>,
    gap: Option<GapId>,
    after: Option<GapId>,
    limit: Option<u32>,
}

// The unfinished gaps among those chosen, and whether there are more.
async fn chosen(
    store: &dyn Store,
    channels: &Channels,
    params: ChosenGaps,
) -> Result<(Vec<GapRow>, bool, Option<GapId>), Problem> {
    let unfinished = |row: &GapRow| matches!(row.state, GapState::Open | GapState::Repairing);
    if let Some(id) = params.gap {
        let row = store.gap(id).await?.ok_or_else(|| Problem::not_found("gap", id))?;
        return Ok((vec![row], false, None));
    }
    channels.known(params.channel.as_ref())?;
    known_group(store, params.group).await?;
    let page = PageSize::new(params.limit)?;
    let filter =
        GapFilter { channel: params.channel, group: params.group, after: params.after, ..GapFilter::default() };
    let (mut rows, more) = page.cut(store.gaps(&filter, page.and_one()).await?);
    let last = rows.last().map(|row| row.id);
    rows.retain(unfinished);
    Ok((rows, more, last))
}

/// `GET /api/v1/gaps/repair-plan`: what a repair would do, without doing it.
pub(crate) async fn repair_plan(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    Params(params): Params<ChosenGaps>,
) -> Result<Json<Value>, Problem> {
    let (rows, more, last) = chosen(&*store, &channels, params).await?;
    let stops = Stops::load(&*store).await?;
    let plan: Vec<_> = rows.iter().map(|row| planned(row, &stops)).collect();
    Ok(Json(json!({"plan": plan, "more": more, "last_id": last})))
}

fn planned(row: &GapRow, stops: &Stops) -> Value {
    let step = row.kind.repair_step(row.generation, row.key.is_some(), row.delivery_id.is_some());
    let subject = match step {
        RepairStep::ReadAgain => row.key.as_ref().map(|key| key.number.to_string()),
        RepairStep::SendAgain => row.delivery_id.map(|id| format!("delivery {id}")),
        RepairStep::FetchAgain | RepairStep::AddUpAgain => {
            Some(format!("{} .. {}", format_china(row.window.start), format_china(row.window.end)))
        }
        RepairStep::Nothing => None,
    };
    let (by_itself, why) = match row.state {
        GapState::Closed | GapState::Waived | GapState::Suspected => {
            (false, Some(format!("the gap is {}: there is nothing to repair", row.state)))
        }
        GapState::Repairing => (true, Some("a repair is under way; it is verified by a newer comparison".to_owned())),
        GapState::Open => match (step, &row.reason) {
            (RepairStep::Nothing, _) => (false, Some(not_repairable(row.kind).to_owned())),
            (_, Some(reason)) => (false, Some(format!("left to a person: {reason}"))),
            (_, None) if stops.holds(&row.channel, row.dataset) => {
                (false, Some("automatic repair of the dataset is stopped until a person approves it".to_owned()))
            }
            (_, None) => (true, None),
        },
    };
    json!({
        "id": row.id, "channel": row.channel, "dataset": row.dataset, "kind": row.kind, "state": row.state,
        "step": step, "subject": subject, "generation": row.generation + 1, "by_itself": by_itself, "why": why,
    })
}

fn not_repairable(kind: GapKind) -> &'static str {
    match kind {
        GapKind::ManifestUnreliable => {
            "only the other side can mend its account; the gap closes when a later one is consistent"
        }
        GapKind::SpoolSilent => {
            "the node that holds the records has to be started again; the gap closes when its spool is empty"
        }
        GapKind::AttachmentMissing => {
            "a file is asked for by itself while it is owed; one that was given up is asked for again with `order attachments NUMBER --again`"
        }
        GapKind::LostOffset => "what was lost shows as gaps of the other kinds; waive this one when those are closed",
        _ => "the channel can't name what differs",
    }
}

/// `GET /api/v1/gaps/export`: the list for the other side.
pub(crate) async fn export(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(channels): State<Channels>,
    Params(params): Params<ChosenGaps>,
) -> Result<Json<Value>, Problem> {
    let (rows, more, last) = chosen(&*store, &channels, params).await?;
    let gaps: Vec<_> = rows.iter().filter(|row| row.kind != GapKind::BookDamaged).map(exported).collect();
    Ok(Json(json!({"at": ChinaTime(clock.now()), "gaps": gaps, "more": more, "last_id": last})))
}

fn exported(row: &GapRow) -> Value {
    let key = row.key.as_ref();
    json!({
        "id": row.id, "channel": row.channel, "dataset": row.dataset, "dataset_name": dataset_name(row.dataset),
        "number": key.map(|key| &key.number), "day": key.map(|key| key.day), "part": key.map(|key| &key.part),
        "kind": row.kind, "kind_name": kind_name(row.kind), "detail": row.detail,
        "event_time": {"start": ChinaTime(row.window.start), "end": ChinaTime(row.window.end)},
        "theirs": row.evidence.theirs, "ours": row.evidence.ours, "as_of": ChinaTime(row.evidence.as_of),
        "since": row.opened_at.map(ChinaTime), "asked": asked(row.kind),
    })
}

fn dataset_name(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Acceptance => "受理信息",
        Dataset::Handling => "流转信息",
        Dataset::Completion => "办结情况",
        Dataset::Evaluation => "回访评价",
        Dataset::Knowledge => "知识点",
    }
}

fn kind_name(kind: GapKind) -> &'static str {
    match kind {
        GapKind::MissingOrder => "我方缺少工单",
        GapKind::MissingItem => "我方缺少环节或事件",
        GapKind::Differing => "双方内容不一致",
        GapKind::DeniedBySource => "我方持有而贵方清单没有",
        GapKind::NotHeldByDestination => "我方已送达而贵方没有",
        GapKind::HeldDifferently => "我方已送达而贵方内容不同",
        GapKind::CountMismatch => "合计不符，无法定位",
        GapKind::ManifestUnreliable => "贵方对账清单自相矛盾",
        GapKind::BookDamaged => "我方账簿受损",
        GapKind::LostOffset => "我方总线消息丢失",
        GapKind::SpoolSilent => "我方节点失联，推送尚未入库",
        GapKind::AttachmentMissing => "工单附件取不到",
    }
}

fn asked(kind: GapKind) -> &'static str {
    match kind {
        GapKind::MissingOrder | GapKind::MissingItem => "请确认该记录可按编号查询，或重新推送该记录",
        GapKind::Differing => "请核对该记录当前内容，并重新推送或告知以何者为准",
        GapKind::DeniedBySource => "请确认该记录是否已撤销或删除；如未删除，请补入对账清单",
        GapKind::NotHeldByDestination => "我方持有贵方回执，请查明未入库原因并确认可否重发",
        GapKind::HeldDifferently => "请核对贵方所存内容，并告知是否在贵方修改过",
        GapKind::CountMismatch => "请提供该时段的明细清单（编号与更新时间）",
        GapKind::ManifestUnreliable => "请检查该时段对账接口的计数、合计与明细是否一致",
        GapKind::LostOffset | GapKind::SpoolSilent => "请重新推送该时段的记录",
        GapKind::AttachmentMissing => "请确认该附件已上传并可下载；如已丢失，请告知",
        GapKind::BookDamaged => "",
    }
}
