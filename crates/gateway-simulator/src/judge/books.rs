//! The simulators' books, page by page.

use serde_json::Value;

use super::{ControlPoint, Reader};
use crate::error::SimError;
use crate::http;
use crate::record::Order;

/// Goes through every order of a platform's book: its row, and the record in it.
pub(super) async fn each(
    reader: &Reader<'_>,
    platform: &ControlPoint,
    mut take: impl FnMut(&Value, &Order),
) -> Result<(), SimError> {
    let mut after = 0;
    loop {
        let path = format!("/sim/book/orders?limit=500&after={after}");
        let page = http::get(&reader.client, &platform.url, &path, &platform.token).await?;
        for row in page["orders"].as_array().into_iter().flatten() {
            let order: Order = serde_json::from_value(row["record"].clone()).map_err(|_| SimError::Answer {
                what: "GET /sim/book/orders".into(),
                status: 200,
                detail: "unreadable row".into(),
            })?;
            take(row, &order);
        }
        match page["next"].as_u64() {
            Some(next) if page["more"] == true => after = next,
            _ => return Ok(()),
        }
    }
}
