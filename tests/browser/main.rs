//! Promise: in a real browser the page shows what happens while it happens, to everybody, and nothing that it must not: numbers
//! move, rejections appear, it can be paused, it is reached by keyboard and read by screen readers, it is legible in light
//! and dark, text from the wire stays text, and it asks nobody else for anything.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

mod accessible;
mod honest;
mod scripts;
mod traffic;

use support::{http, webdriver::Browser};
use traffic::World;

/// The page of a proxy in a browser.
struct Page {
    browser: Browser,
    world: World,
}

impl Page {
    /// Opens it; `None` where there is no browser.
    async fn open(more: &str) -> Option<Self> {
        let browser = Browser::start().await?;
        let world = World::new(more).await;
        browser.open(&world.page()).await;
        Some(Self { browser, world })
    }

    /// The same, and waits for the first facts.
    async fn open_with_facts() -> Option<Self> {
        let page = Self::open("").await?;
        page.browser
            .until("the facts are there", "!document.getElementById('content').hidden")
            .await;
        Some(page)
    }

    /// A number out of the text of an element.
    async fn number(&self, selector: &str) -> f64 {
        let text = self.browser.text(selector).await.replace(',', "");
        let digits =
            text.split(|it: char| !it.is_ascii_digit() && it != '.').find(|it| !it.is_empty());
        digits.unwrap_or_else(|| panic!("{selector}: {text:?}")).parse().unwrap()
    }

    /// Fails where the page asked anybody else for something, broke its policy, or complained. Complaints about answers that
    /// a test has provoked are `expected`.
    async fn assert_quiet(&self, expected: &[&str]) {
        let own = self.world.page();
        for url in self.browser.requests().await {
            let fine = url.starts_with(&own) || url.starts_with("data:");
            assert!(fine, "the page asks for {url}");
        }
        for line in self.browser.console().await {
            let message = line["message"].as_str().unwrap();
            let known = expected.iter().any(|it| message.contains(it));
            assert!(known, "the console says: {message}");
        }
    }
}

/// The status, read past the page.
async fn status(world: &World) -> serde_json::Value {
    let reply = http::get(&world.admin(), "/status").await;
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn numbers_move_under_traffic_and_a_rejection_appears_with_its_reason() {
    let Some(page) = Page::open_with_facts().await else { return };
    let requests = "#tiles li:nth-child(2) .tile-note";
    let before = page.number(requests).await;
    assert_eq!(
        page.browser.text("#rejections-empty").await,
        "Nothing was rejected since the start."
    );
    page.world.traffic();
    let more = format!(
        "Number(document.querySelector('{requests}').textContent.replace(/\\D/g, '')) > {before} + 50"
    );
    page.browser.until("the requests are counted", &more).await;
    let moved = "document.querySelector('#tiles li:nth-child(3) .spark-line').getAttribute('d').length > 30 \
                 && Number.parseFloat(document.querySelector('#tiles li:nth-child(3) .tile-value').textContent) > 0";
    page.browser.until("the line moves", moved).await;
    let rejected =
        "document.querySelector('#rejections-rows')?.textContent.includes('payload_invalid')";
    page.browser.until("the rejection appears", rejected).await;
    let row = "[...document.querySelectorAll('#rejections-rows tr')].find((row) => row.textContent.includes('payments'))";
    let row = page.browser.value(&format!("{row}.textContent")).await;
    let row = row.as_str().unwrap();
    for part in [
        "payments.settled",
        "partition 1",
        "settlement-service",
        "payload_invalid",
        "refused",
        "record 2: ",
        "/schemas/ids/1",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
    for (place, expected) in [
        ("#topics-rows", "payments.settled"),
        ("#schemas-rows", "/schemas/ids/1"),
        ("#registries-rows", "closed"),
        ("#brokers-rows", "9101"),
        ("#rules-rows", "clickstream.*"),
        ("#state", "Ready"),
        ("#version", env!("CARGO_PKG_VERSION")),
    ] {
        let found = format!("document.querySelector('{place}').textContent.includes('{expected}')");
        page.browser.until(place, &found).await;
    }
    let status = status(&page.world).await;
    assert!(status["totals"]["records"]["rejected"].as_u64().unwrap() > 0);
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn topics_are_filtered_by_the_server() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.world.traffic();
    page.browser.until("topics", "document.querySelectorAll('#topics-rows tr').length >= 4").await;
    page.browser.value("document.getElementById('topic-filter').focus()").await;
    page.browser.type_text("pay").await;
    page.browser
        .until("one is left", "document.querySelectorAll('#topics-rows tr').length === 1")
        .await;
    assert!(page.browser.text("#topics-note").await.starts_with("1 of "));
    page.browser.type_text("<&").await;
    page.browser
        .until("none is left", "document.querySelectorAll('#topics-rows tr').length === 0")
        .await;
    assert_eq!(page.browser.text("#topics-empty").await, "No topic has that in its name.");
    assert!(page.browser.requests().await.iter().any(|url| url.ends_with("?topic=pay%3C%26")));
    page.assert_quiet(&[]).await;
}
