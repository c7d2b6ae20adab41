//! The admin listener: routes, grouped by the right that they need, so that none can be without.

use crate::auth::{Right, gate};
use crate::observe::{method_not_allowed, no_such_path, observe};
use crate::{
    ApiState, Code, Problem, archive, attachments, backfill, commands, dead_letters, deliveries, duplicates, exports,
    flow, gap_export, gap_groups, gaps, health, incidents, nodes, orders, raw, reconcile, registry, repair_stops,
    report, silences, status, trace,
};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

/// What a process without the role `api` answers: how it is, and which others there are.
pub fn node_router(state: ApiState) -> Router {
    let status = Router::new().route("/api/v1/status", get(status::status)).route("/api/v1/nodes", get(nodes::list));
    let status = status.route_layer(from_fn_with_state((state.tokens.clone(), Right::ReadBooks), gate));
    status
        .merge(open())
        .fallback(not_here)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.config.clone(), observe))
        .with_state(state)
}

async fn not_here() -> Problem {
    Problem::new(
        Code::NoSuchPath,
        "this process has not the role `api`: ask one that has it; `hotline-gateway nodes` shows all",
    )
    .zh("本进程没有 api 角色：请到承担 api 的节点上执行；hotline-gateway nodes 可查看全部节点")
}

/// What needs no token.
fn open() -> Router<ApiState> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}

/// `/api/v1/…` with a token, and `/healthz`, `/readyz`, `/metrics` without.
pub fn admin_router(state: ApiState) -> Router {
    let needs = |right: Right, routes: Router<ApiState>| {
        routes.route_layer(from_fn_with_state((state.tokens.clone(), right), gate))
    };
    let read_orders = Router::new()
        .route("/api/v1/orders", get(orders::feed))
        .route("/api/v1/orders/{id}", get(orders::one))
        .route("/api/v1/orders/{id}/timeline", get(orders::timeline))
        .route("/api/v1/commands/{id}", get(commands::outcome))
        .route("/api/v1/deliveries", get(deliveries::left))
        .route("/api/v1/deliveries/{id}", get(deliveries::one))
        .route("/api/v1/duplicates", get(duplicates::list))
        .route("/api/v1/duplicates/{id}", get(duplicates::one));
    let send_commands = Router::new().route("/api/v1/orders/{id}/commands", post(commands::send));
    let read_books = Router::new()
        .route("/api/v1/flow", get(flow::flow))
        .route("/api/v1/gaps", get(gaps::list))
        .route("/api/v1/gap-groups", get(gap_groups::list))
        .route("/api/v1/gaps/repair-plan", get(gap_export::repair_plan))
        .route("/api/v1/gaps/export", get(gap_export::export))
        .route("/api/v1/repair-stops", get(repair_stops::list))
        .route("/api/v1/comparisons", get(reconcile::comparisons))
        .route("/api/v1/gaps/{id}", get(gaps::one))
        .route("/api/v1/reconcile", get(reconcile::totals))
        .route("/api/v1/exports", get(exports::list))
        .route("/api/v1/dead-letters", get(dead_letters::list))
        .route("/api/v1/dead-letters/{id}", get(dead_letters::one))
        .route("/api/v1/reports/daily/{day}", get(report::daily))
        .route("/api/v1/reports/monthly/{month}", get(report::monthly))
        .route("/api/v1/orders/{id}/trace", get(trace::trace))
        .route("/api/v1/balance", get(report::balance::balance))
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/silences", get(silences::list))
        .route("/api/v1/notifiers", get(incidents::notifiers))
        .route("/api/v1/nodes", get(nodes::list))
        .route("/api/v1/archive", get(archive::list))
        .route("/api/v1/registry", get(registry::show))
        .route("/api/v1/status", get(status::status));
    let read_bytes = Router::new()
        .route("/api/v1/raw/{id}", get(raw::one))
        .route("/api/v1/attachments/{id}", get(attachments::bytes));
    let operate = Router::new()
        .route("/api/v1/duplicates", post(duplicates::join))
        .route("/api/v1/duplicates/{id}/confirm", post(duplicates::confirm))
        .route("/api/v1/duplicates/{id}/reject", post(duplicates::reject))
        .route("/api/v1/nodes/{name}/forget", post(nodes::forget))
        .route("/api/v1/archive/{month}/take", post(archive::take))
        .route("/api/v1/archive/{month}/return", post(archive::bring_back))
        .route("/api/v1/attachments/{id}/fetch", post(attachments::fetch_again))
        .route("/api/v1/gaps/{id}/repair", post(gaps::repair))
        .route("/api/v1/gaps/{id}/waive", post(gaps::waive))
        .route("/api/v1/gaps/repair", post(gaps::repair_many))
        .route("/api/v1/repair-stops/approve", post(repair_stops::approve))
        .route("/api/v1/reconcile", post(reconcile::ask))
        .route("/api/v1/registry/{kind}", post(registry::import))
        .route("/api/v1/backfill", post(backfill::ask))
        .route("/api/v1/exports", post(exports::ask))
        .route("/api/v1/dead-letters/{id}/retry", post(dead_letters::retry))
        .route("/api/v1/dead-letters/{id}/waive", post(dead_letters::waive))
        .route("/api/v1/incidents/{id}/acknowledge", post(incidents::acknowledge))
        .route("/api/v1/silences", post(silences::add))
        .route("/api/v1/silences/{id}/end", post(silences::end))
        .route("/api/v1/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/api/v1/deliveries/{id}/waive", post(deliveries::waive));
    needs(Right::ReadOrders, read_orders)
        .merge(needs(Right::SendCommands, send_commands))
        .merge(needs(Right::ReadBooks, read_books))
        .merge(needs(Right::ReadBytes, read_bytes))
        .merge(needs(Right::Operate, operate))
        .merge(open())
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.config.clone(), observe))
        .with_state(state)
}
