//! Database clusters, what is in them, and replicas.

use super::*;

const ONLINE: &str = r#"
    GET /v2/databases/d1
    200 {"database":{"id":"d1","name":"wp-pz","engine":"mysql","version":"8","semantic_version":"8.0.35","region":"nyc3","size":"db-s-1","num_nodes":1,"private_network_uuid":"00000000-0000-0000-0000-0000000000a1","tags":["$M"],"status":"online","connection":{"host":"h","port":25060,"user":"doadmin","password":"canary-pw","database":"defaultdb","uri":"mysql://doadmin:canary-pw@h"},"private_connection":{"host":"p"}}}
    GET /v2/databases/d1/ca
    200 {"ca":{"certificate":"LS0tUEVNLS0t"}}
"#;

fn database_cluster() -> Json {
    json!({"name": "wp-pz", "region": "nyc3", "size": "db-s-1", "vpc": "00000000-0000-0000-0000-0000000000a1"})
}

#[tokio::test]
async fn a_database_cluster_shows_how_to_connect_but_no_password() {
    let made = check(DB, create(&database_cluster()), r#"
        POST /v2/databases {"name":"wp-pz","engine":"mysql","version":"8","num_nodes":1,"private_network_uuid":"00000000-0000-0000-0000-0000000000a1","tags":["$M"]}
        201 {"database":{"id":"d1","status":"creating","connection":{"host":"","password":"canary-pw"}}}
    "#).await;
    assert_eq!(made, "submitted d1");
    let told = check(DB, poll("d1", Wait::Ready, &database_cluster()), ONLINE).await;
    assert_eq!(
        told,
        r#"ready d1 {"ca":"---PEM---","database":"defaultdb","engine":"mysql","host":"h","id":"d1","name":"wp-pz","num_nodes":1,"password":{"$secret":{"ref":"pz/digitalocean.database_cluster.main.password"}},"port":25060,"private_host":"p","region":"nyc3","size":"db-s-1","tags":[],"urn":"do:dbaas:d1","user":"doadmin","version":"8.0.35","vpc":"00000000-0000-0000-0000-0000000000a1"}"#
    );
}

#[tokio::test]
async fn a_narrow_token_leaves_the_password_unknown() {
    let narrow = ONLINE
        .replace("\"canary-pw\"", "\"\"")
        .replace("\"doadmin\"", "\"\"");
    let seen = look(vec![known(DB, "d1", &database_cluster())], &narrow).await;
    assert!(
        !seen[0].contains("password") && !seen[0].contains("\"user\""),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_database_cluster_grows_and_is_tagged_through_tags() {
    let mut desired = database_cluster();
    desired["size"] = json!("db-s-2");
    desired["tags"] = json!(["prod"]);
    let get = ONLINE.lines().take(3).collect::<Vec<_>>().join("\n");
    let told = check(
        DB,
        update("d1", &desired, &["size", "tags"]),
        &(get
            + r#"
        POST /v2/tags {"name":"prod"}
        201 {"tag":{"name":"prod"}}
        PUT /v2/databases/d1/resize {"size":"db-s-2","num_nodes":1}
        202
    "#)
        .replace(
            "PUT",
            r#"POST /v2/tags/prod/resources
        204
        PUT"#,
        ),
    )
    .await;
    assert_eq!(told, "submitted d1");
}

#[tokio::test]
async fn a_cluster_with_replicas_is_not_deleted() {
    let told = check(
        DB,
        delete("d1", &json!({})),
        r#"
        GET /v2/databases/d1/replicas
        200 {"replicas":[{"name":"wp-bz"}]}
    "#,
    )
    .await;
    assert_eq!(told, "Conflict: it still has the replicas wp-bz");
}

#[tokio::test]
async fn parts_of_a_cluster_have_ids_of_two_parts() {
    let made = check(
        DATABASE,
        create(&json!({"cluster": "d1", "name": "wordpress"})),
        r#"
        POST /v2/databases/d1/dbs {"name":"wordpress"}
        201 {"db":{"name":"wordpress"}}
    "#,
    )
    .await;
    assert_eq!(
        made,
        r#"ready d1/wordpress {"cluster":"d1","id":"d1/wordpress","name":"wordpress"}"#
    );
    let made = check(
        USER,
        create(&json!({"cluster": "d1", "name": "app"})),
        r#"
        POST /v2/databases/d1/users {"name":"app"}
        201 {"user":{"name":"app","role":"normal","password":"canary-pw"}}
    "#,
    )
    .await;
    assert_eq!(
        made,
        r#"ready d1/app {"cluster":"d1","id":"d1/app","name":"app","password":{"$secret":{"ref":"pz/digitalocean.database_user.app.password"}}}"#
    );
    let told = check(
        USER,
        delete("d1/a b", &json!({})),
        "DELETE /v2/databases/d1/users/a%20b\n204",
    )
    .await;
    assert_eq!(told, "gone");
    let seen = look(
        vec![
            known(USER, "d1/app", &json!({})),
            target(
                "pz/digitalocean.database_user.two",
                &json!({"cluster": "d1", "name": "doadmin"}),
            ),
            known("pz/digitalocean.database_user.three", "d2/x", &json!({})),
            target("pz/digitalocean.database_user.four", &json!({"name": "x"})),
        ],
        r#"
        GET /v2/databases/d1/users
        200 {"users":[{"name":"doadmin"},{"name":"app"}]}
        GET /v2/databases/d2/users
        404 {"id":"not_found","message":"gone"}
    "#,
    )
    .await;
    assert!(seen[0].starts_with("present d1/app"), "{seen:?}");
    assert_eq!(seen[1..], ["foreign d1/doadmin", "gone", "gone"]);
}

#[tokio::test]
async fn foreign_firewall_rules_survive_as_they_are() {
    let rules = r#"
        GET /v2/databases/d1/firewall
        200 {"rules":[{"uuid":"11111111-1111-1111-1111-111111111111","cluster_uuid":"d1","created_at":"2026-01-01T00:00:00Z","type":"ip_addr","value":"1.2.3.4","description":"bob's house"},{"uuid":"22222222-2222-2222-2222-222222222222","type":"k8s","value":"old","description":"$M"}]}
    "#;
    let desired = json!({"cluster": "d1", "clusters": ["c1"], "addresses": ["1.2.3.4"]});
    let told = check(FIREWALL, update("d1", &desired, &["clusters"]), &format!(r#"{rules}
        PUT /v2/databases/d1/firewall {{"rules":[{{"uuid":"11111111-1111-1111-1111-111111111111","type":"ip_addr","value":"1.2.3.4","description":"bob's house"}},{{"type":"k8s","value":"c1","description":"$M"}}]}}
        204
    "#)).await;
    assert_eq!(
        told,
        r#"ready d1 {"addresses":["1.2.3.4"],"cluster":"d1","clusters":["c1"],"id":"d1"}"#
    );

    // A rule that left the spec is ours by its mark, and seen.
    let seen = look(
        vec![known(
            FIREWALL,
            "d1",
            &json!({"cluster": "d1", "clusters": ["c1"]}),
        )],
        rules,
    )
    .await;
    assert_eq!(
        seen[0],
        r#"present d1 Ready {"addresses":[],"cluster":"d1","clusters":["old"],"id":"d1"}"#
    );

    let told = check(
        FIREWALL,
        delete("d1", &desired),
        &format!(
            r#"{rules}
        PUT /v2/databases/d1/firewall {{"rules":[{{"value":"1.2.3.4"}}]}}
        204
    "#
        ),
    )
    .await;
    assert_eq!(told, "gone");
}

#[tokio::test]
async fn a_firewall_is_never_emptied_by_a_write_and_waits_for_a_young_cluster() {
    let none = "GET /v2/databases/d1/firewall\n200 {\"rules\":[]}\n";
    let told = check(FIREWALL, create(&json!({"cluster": "d1"})), none).await;
    assert!(told.starts_with("Invalid: no rule would be left"), "{told}");
    let desired = json!({"cluster": "d1", "clusters": ["c1"]});
    let text =
        format!("{none}PUT /v2/databases/d1/firewall\n422 {{\"message\":\"no such cluster\"}}");
    let told = check(FIREWALL, create(&desired), &text).await;
    assert!(told.starts_with("Transient"), "{told}");
}

#[tokio::test]
async fn a_replica_waits_for_the_first_backup() {
    let told = check(REPLICA, create(&replica("replica")), r#"
        POST /v2/databases/d1/replicas {"name":"wp-bz","region":"sfo3","size":"db-s-1","tags":["$M"]}
        412 {"id":"precondition_failed","message":"no backup yet"}
    "#).await;
    assert!(told.starts_with("NotYet { after: None }: "), "{told}");
    let find = Verb::Find {
        desired: value(&replica("replica")),
    };
    let script = script(
        REPLICA,
        r#"
        GET /v2/databases/d1/replicas
        200 {"replicas":[{"id":"r1","name":"wp-bz","status":"forking"}]}
    "#,
    );
    let session = open(&*connect(&script)).await;
    let op: Op = op(REPLICA, find);
    let Ok(Outcome::Found(found)) = session.apply(&op).await else {
        panic!()
    };
    assert_eq!(found[0].id, "r1");
    assert_eq!(found[0].mark, Mark::Carried(op.marker.to_string()));
}

#[tokio::test]
async fn a_promoted_replica_stays_the_same_resource() {
    let by_name = "GET /v2/databases/d1/replicas/wp-bz\n";
    let there = r#"200 {"replica":{"id":"r1","name":"wp-bz","region":"sfo3","size":"db-s-1","status":"online"}}"#;
    let cluster = "GET /v2/databases/r1\n200 {\"database\":{\"id\":\"r1\",\"name\":\"wp-bz\",\"region\":\"sfo3\",\"size\":\"db-s-1\",\"num_nodes\":1,\"status\":\"online\"}}\n";
    let ca = "GET /v2/databases/r1/ca\n404 {}\n";
    let promote = "PUT /v2/databases/d1/replicas/wp-bz/promote\n";
    for (reply, more) in [("204", ""), ("404 {}", cluster)] {
        let text = format!("{by_name}{there}\n{promote}{reply}\n{more}");
        let told = check(REPLICA, update("r1", &replica("primary"), &["role"]), &text).await;
        assert_eq!(told, "submitted r1", "{reply}");
    }
    let ready = || poll("r1", Wait::Ready, &replica("primary"));
    let told = check(REPLICA, ready(), &format!("{by_name}{there}\n{ca}")).await;
    assert_eq!(told, "pending being promoted");
    let told = check(
        REPLICA,
        ready(),
        &format!("{by_name}404 {{}}\n{cluster}{ca}"),
    )
    .await;
    assert!(
        told.starts_with("ready r1") && told.contains(r#""role":"primary""#),
        "{told}"
    );

    let list = "GET /v2/databases/d1/replicas\n200 {\"replicas\":[]}\n";
    let seen = look(
        vec![known(REPLICA, "r1", &replica("primary"))],
        &format!("{list}{cluster}{ca}"),
    )
    .await;
    assert!(
        seen[0].contains(r#""role":"primary""#) && seen[0].contains(r#""source":"d1""#),
        "{seen:?}"
    );

    let text = format!("{by_name}404 {{}}\n{cluster}DELETE /v2/databases/r1\n204");
    assert_eq!(
        check(REPLICA, delete("r1", &replica("primary")), &text).await,
        "submitted r1"
    );
    // Promoted after the plan was made: it is not the copy any more that was to go.
    let text = format!("{by_name}404 {{}}\n{cluster}");
    let told = check(REPLICA, delete("r1", &replica("replica")), &text).await;
    assert!(told.starts_with("Conflict: it was promoted"), "{told}");
}
