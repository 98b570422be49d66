//! Who can use the page: with a keyboard, with a screen reader, in light and dark, on a narrow screen, without motion.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use super::{
    Page,
    scripts::{FOCUSED, LOW_CONTRAST, REACHABLE, TOO_WIDE},
};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = "\u{e00d}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn the_keyboard_reaches_everything_in_order_and_shows_where_it_is() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.world.traffic();
    page.browser.until("rows", "document.querySelectorAll('#rejections-rows tr').length > 0").await;
    page.browser.until("schemas", "document.querySelectorAll('#schemas-rows tr').length > 0").await;
    let expected = page.browser.run(REACHABLE, json!([])).await;
    let expected: Vec<_> = expected.as_array().unwrap().clone();
    assert!(expected.len() >= 15, "{expected:?}");
    let mut reached = Vec::new();
    for _ in &expected {
        page.browser.press(&[TAB]).await;
        let focused = page.browser.run(FOCUSED, json!([])).await;
        assert_eq!(focused["seen"], true, "{focused}: where the keyboard is has to be seen");
        reached.push(focused["name"].clone());
    }
    assert_eq!(reached, expected);
    page.browser.value("document.getElementById('pause').focus()").await;
    for (key, pressed) in [(SPACE, "true"), (ENTER, "false")] {
        page.browser.press(&[key]).await;
        let state = page.browser.value("document.getElementById('pause').ariaPressed").await;
        assert_eq!(state, pressed);
    }
    page.browser.value("document.querySelector('nav a[href=\"#rules\"]').focus()").await;
    page.browser.press(&[ENTER]).await;
    assert_eq!(
        page.browser.value("document.activeElement.id").await,
        "rules",
        "a link leads there"
    );
    page.assert_quiet(&[]).await;
}

/// Role and name of everything in the accessibility tree that is not left out.
async fn tree(page: &Page) -> BTreeSet<(String, String)> {
    let tree = page.browser.devtools("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap().iter();
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    nodes
        .filter(|node| node["ignored"] != true)
        .map(|node| (text(&node["role"]), text(&node["name"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn a_screen_reader_finds_landmarks_tables_and_names() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.world.traffic();
    page.browser.until("rows", "document.querySelectorAll('#rejections-rows tr').length > 0").await;
    page.browser.until("schemas", "document.querySelectorAll('#schemas-rows tr').length > 0").await;
    let tree = tree(&page).await;
    for (role, name) in [
        ("banner", ""),
        ("navigation", "Sections"),
        ("main", ""),
        ("contentinfo", ""),
        ("region", "Last rejections"),
        ("region", "Topics"),
        ("heading", "schemaward"),
        ("heading", "Last rejections"),
        ("heading", "Schema registries"),
        ("heading", "Rules in force"),
        ("columnheader", "What is wrong"),
        ("columnheader", "Local port"),
        ("rowheader", "orders"),
        ("searchbox", "Filter"),
        ("button", "Pause"),
        ("link", "Topics"),
        ("status", ""),
    ] {
        assert!(tree.contains(&(role.to_owned(), name.to_owned())), "{role} {name:?}: {tree:#?}");
    }
    let named =
        |role: &str, start: &str| tree.iter().any(|it| it.0 == role && it.1.starts_with(start));
    assert!(named("image", "Requests per second in the last "), "{tree:#?}");
    let tables = tree.iter().filter(|(role, _)| role == "table");
    assert!(
        tables.clone().count() >= 6 && tables.clone().all(|(_, name)| name.len() > 20),
        "{tree:#?}"
    );
    for (role, name) in &tree {
        let needs_a_name = ["button", "link", "searchbox", "textbox", "region", "table", "image"];
        assert!(
            !needs_a_name.contains(&role.as_str()) || !name.is_empty(),
            "{role} without a name"
        );
    }
    let live = "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map((it) => it.id).join()";
    assert_eq!(
        page.browser.value(live).await,
        "notices,token-error",
        "nothing else is read out by itself"
    );
    page.assert_quiet(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn it_is_legible_in_light_and_dark_and_on_a_narrow_screen() {
    let Some(page) = Page::open_with_facts().await else { return };
    page.world.traffic();
    page.world.reject("nightly-export", "orders").await;
    page.world.ask_for("events/gone.avsc").await;
    let full = "document.querySelectorAll('#rejections-rows tr').length >= 3 && document.querySelectorAll('#topics-rows tr').length >= 5";
    page.browser.until("there is something to see", full).await;
    let mut backgrounds = BTreeSet::new();
    for scheme in ["light", "dark"] {
        for width in [1_440, 1_024, 390] {
            let motion = ("prefers-reduced-motion", "reduce");
            page.browser.look(&[("prefers-color-scheme", scheme), motion], width, 900).await;
            let contrast = page.browser.run(LOW_CONTRAST, json!([])).await;
            assert_eq!(contrast["low"], json!([]), "{scheme}, {width}");
            assert!(contrast["seen"].as_u64().unwrap() > 100, "{contrast}");
            let wide = page.browser.run(TOO_WIDE, json!([])).await;
            assert_eq!(wide, json!({ "wide": [], "scrolls": false }), "{scheme}, {width}");
            let moving =
                "document.getAnimations().filter((it) => it.playState === 'running').length";
            assert_eq!(page.browser.value(moving).await, 0, "nobody is moved who does not want it");
        }
        let background =
            page.browser.value("getComputedStyle(document.body).backgroundColor").await;
        backgrounds.insert(background.to_string());
    }
    assert_eq!(backgrounds.len(), 2, "{backgrounds:?}");
    page.assert_quiet(&[]).await;
}

/// With `BLESS=1` the picture of the documents is taken anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; scripts/full runs it"]
async fn the_picture_in_the_documents_is_one_of_the_page() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images/page.png");
    if std::env::var_os("BLESS").is_some() {
        let Some(page) = Page::open_with_facts().await else { return };
        page.world.traffic();
        page.world.ask_for("events/page-view.avsc").await;
        page.world.ask_for("events/gone.avsc").await;
        page.world.reject("nightly-export", "orders").await;
        page.browser.look(&[("prefers-color-scheme", "light")], 1_240, 900).await;
        for samples in [15, 30, 45, 60] {
            let line = "document.querySelector('#tiles .spark-line').getAttribute('d')";
            let history = format!("{line}.split('L').length >= {samples}");
            page.browser.until("there is a history", &history).await;
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, page.browser.screenshot().await).unwrap();
    }
    let picture = fs::read(&file).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n") && picture.len() < 200_000, "{}", picture.len());
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains("(docs/images/page.png)"));
}
