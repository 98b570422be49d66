//! What the page says about itself: live, paused, of the past, locked; and that text from the wire stays text.

use serde_json::json;

use super::{Page, status};
use crate::support::{http, registry::Mood, wait::patiently, webdriver::Browser};

const HOSTILE_CLIENT: &str = "<script>alert(1)</script>'\"&\u{202e}gnp.\u{2066}";
const HOSTILE_TOPIC: &str = "\"><img src=x onerror=alert(2)>";
const RIGHT_TO_LEFT: &str = "\u{5e9}\u{5dc}\u{5d5}\u{5dd}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn hostile_text_shows_up_as_text() {
    let Some(page) = Page::open_with_facts().await else { return };
    let own = page.browser.value("document.scripts.length").await;
    page.world.reject(HOSTILE_CLIENT, HOSTILE_TOPIC).await;
    page.world.reject(RIGHT_TO_LEFT, "orders").await;
    let two = "document.querySelectorAll('#rejections-rows tr').length === 2";
    page.browser.until("both are shown", two).await;
    let texts =
        "[...document.querySelectorAll('#rejections-rows bdi')].map((it) => it.textContent)";
    let texts = page.browser.value(texts).await;
    for expected in [
        "<script>alert(1)</script>'\\\"&\\u{202e}gnp.\\u{2066}",
        "\\\"><img src=x onerror=alert(2)>",
        RIGHT_TO_LEFT,
    ] {
        assert!(texts.as_array().unwrap().contains(&json!(expected)), "{expected}: {texts:#}");
    }
    assert_eq!(page.browser.value("document.scripts.length").await, own);
    assert_eq!(page.browser.value("document.images.length").await, 0);
    let direction = "[...document.querySelectorAll('#rejections-rows bdi')].every((it) => getComputedStyle(it).unicodeBidi.includes('isolate'))";
    assert_eq!(page.browser.value(direction).await, true);
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn pause_really_pauses() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.world.traffic();
    page.browser
        .until("it moves", "document.querySelectorAll('#topics-rows tr').length >= 4")
        .await;
    page.browser.run("document.getElementById('pause').click();", json!([])).await;
    assert!(page.browser.text("#freshness").await.starts_with("paused, of "));
    assert_eq!(page.browser.value("document.getElementById('pause').ariaPressed").await, "true");
    let shown = page.browser.text("#content").await;
    page.browser.requests().await;
    three_samples_later(&page).await;
    assert_eq!(page.browser.requests().await, Vec::<String>::new(), "nothing is asked for");
    assert_eq!(page.browser.text("#content").await, shown, "nothing changes");
    page.browser.run("document.getElementById('pause').click();", json!([])).await;
    page.browser
        .until("it goes on", "document.getElementById('freshness').textContent.startsWith('live')")
        .await;
    assert_ne!(page.browser.text("#content").await, shown);
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn a_page_that_nobody_looks_at_asks_for_nothing() {
    let Some(page) = Page::open_with_facts().await else { return };
    let own = page.browser.cover().await;
    // What was under way ends.
    three_samples_later(&page).await;
    page.browser.requests().await;
    three_samples_later(&page).await;
    assert_eq!(page.browser.requests().await, Vec::<String>::new());
    page.browser.uncover(&own).await;
    patiently("it goes on", async { while page.browser.requests().await.is_empty() {} }).await;
    page.assert_quiet(&[]).await;
}

/// Waits until the server has taken three more samples: longer than a page that is live waits.
async fn three_samples_later(page: &Page) {
    let samples = async || {
        let status = status(&page.world).await;
        status["history"]["connections"].as_array().unwrap().len()
    };
    let before = samples().await;
    patiently("three samples", async {
        while samples().await < before + 3 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn that_no_answer_comes_is_said_plainly_and_what_is_shown_has_its_time() {
    let Some(mut page) = Page::open_with_facts().await else { return };
    page.world.registry.mood(Mood::Status(503));
    assert_eq!(page.world.ask_for("events/page-view.avsc").await, Some(19));
    let failing = "document.querySelector('#registries-rows').textContent.includes('503')";
    page.browser.until("the registry's trouble is shown", failing).await;
    page.world.proxy.take().unwrap().drain().await.unwrap();
    page.browser.until("it says so", "document.body.hasAttribute('data-stale')").await;
    let notice = page.browser.text("#notices").await;
    assert!(
        notice.contains("No answer from schemaward: it cannot be reached. What is shown is of "),
        "{notice}"
    );
    assert!(page.browser.text("#freshness").await.contains("no answer since"));
    assert!(page.browser.text("title").await.contains("No answer"));
    assert!(page.browser.text("#brokers-rows").await.contains("9101"), "the facts stay");
    page.assert_quiet(&["net::ERR_"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn where_a_token_is_needed_the_page_shows_nothing_but_the_form_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "tok-3n\n").unwrap();
    let Some(browser) = Browser::start().await else { return };
    let world = super::World::with_token(&file).await;
    let page = Page { browser, world };
    let Page { browser, world } = &page;
    browser.open(&world.page()).await;
    browser.until("the form is shown", "!document.getElementById('login').hidden").await;
    let seen = browser.value("document.body.innerText").await;
    let seen = seen.as_str().unwrap();
    assert!(seen.contains("A token is needed"), "{seen}");
    for fact in ["9101", env!("CARGO_PKG_VERSION"), "Rejections", "Ready", "127."] {
        assert!(!seen.contains(fact), "{fact}: {seen}");
    }
    assert_eq!(
        browser.value("document.activeElement.id").await,
        "token",
        "it can be typed at once"
    );
    for (typed, expected) in [("wrong", "This token is not accepted."), ("two words", "one word")] {
        browser.type_text(typed).await;
        browser.press(&["\u{e007}"]).await;
        let said =
            format!("document.getElementById('token-error').textContent.includes('{expected}')");
        browser.until(expected, &said).await;
        browser.run("document.getElementById('token').value = '';", json!([])).await;
    }
    browser.type_text("tok-3n").await;
    browser.press(&["\u{e007}"]).await;
    browser.until("the facts are shown", "!document.getElementById('content').hidden").await;
    browser
        .until(
            "a broker is",
            "document.querySelector('#brokers-rows').textContent.includes('9101')",
        )
        .await;
    assert_eq!(browser.value("document.getElementById('login').hidden").await, true);
    let kept = "document.documentElement.outerHTML.includes('tok-3n') || JSON.stringify({...localStorage, ...sessionStorage}).includes('tok') || document.cookie";
    assert_eq!(browser.value(kept).await, "", "it is kept in memory only");
    std::fs::write(&file, "rotated\n").unwrap();
    browser.until("it is asked for again", "!document.getElementById('login').hidden").await;
    assert!(!browser.value("document.body.innerText").await.as_str().unwrap().contains("9101"));
    assert!(browser.text("#brokers-rows").await.is_empty(), "and nothing is left behind");
    page.assert_quiet(&["401 (Unauthorized)"]).await;
    assert_eq!(http::get(&page.world.admin(), "/status").await.status, 401);
}

/// What breaks the policy is refused and complained about: so the silence that the other tests ask for says something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn the_browser_holds_the_page_to_its_policy() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.assert_quiet(&[]).await;
    let script = "
        const refused = [];
        const attempt = (name, what) => { try { what(); } catch (error) { refused.push(name); } };
        attempt('markup', () => { document.body.innerHTML = '<b>x</b>'; });
        attempt('script', () => { document.createElement('script').textContent = '1'; });
        document.body.setAttribute('style', 'color: red');
        new Image().src = 'http://127.0.0.1:1/x.png';
        fetch('http://127.0.0.1:1/').catch(() => {});
        return refused;";
    let refused = page.browser.run(script, json!([])).await;
    assert_eq!(refused, json!(["markup", "script"]));
    let mut complaints = String::new();
    patiently("complaints of three kinds", async {
        while !["style-src", "img-src", "connect-src"].iter().all(|it| complaints.contains(it)) {
            for line in page.browser.console().await {
                complaints.push_str(line["message"].as_str().unwrap());
            }
        }
    })
    .await;
    let colour = page.browser.value("document.body.style.color").await;
    assert_eq!(colour, "", "and has no effect");
}
