//! Tests of a coordinator behind nginx: with default settings, below a path, with TLS.

use std::path::Path;

use mitosis_testkit::certificates::Certificates;
use mitosis_testkit::nginx::Nginx;

use crate::home::{Coordinator, Home, Output, Service, ended};

const PASSWORD: &str = "not-the-default";

/// A user of one address, with a certificate authority to trust.
struct Caller<'a> {
    home: &'a Home,
    address: String,
    authority: Option<&'a Path>,
}

impl Caller<'_> {
    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = self.home.mito(args);
        command
            .env("MITO_COORDINATOR_ADDR", &self.address)
            .env("MITO_USER", "mitosis_admin")
            .env("MITO_PASSWORD", PASSWORD);
        if let Some(authority) = self.authority {
            command.env("MITO_CA_CERT", authority);
        }
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let output = ended(self.command(args)).await;
        assert!(!output.stderr.contains('<'), "{args:?}: a page is no message: {}", output.stderr);
        output
    }

    async fn run_ok(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout.trim().to_owned()
    }

    async fn expect_failure(&self, args: &[&str], code: i32, words: &str) {
        let output = self.run(args).await;
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains(words), "`{words}` is not in {}", output.stderr);
    }

    /// Starts a worker with the same address.
    async fn worker(&self) -> Service {
        let authority = match self.authority {
            Some(authority) => format!("ca_cert = '{}'\n", authority.display()),
            None => String::new(),
        };
        let config =
            format!("[worker]\nuser = 'mitosis_admin'\npassword = '{PASSWORD}'\nretain = true\n{authority}");
        let config = self.home.write("worker.toml", &config);
        let args = ["worker", "--config", config.to_str().unwrap(), "-c", &self.address, "--slots", "2"];
        self.home.start(&args, "registered").await.0
    }

    /// Tests everything that needs links, held requests or streams.
    async fn works(&self) {
        let _worker = self.worker().await;
        assert_eq!(self.run_ok(&["run", "--", "echo", "hello"]).await, "hello");
        let sweep = self.run_ok(&["run", "-F", "x=1..3", "--", "echo", "{x}"]).await;
        assert_eq!(sweep.lines().count(), 3, "{sweep}");
        let id = self.run_ok(&["client", "tasks", "submit", "-q", "-o", "id", "--", "true"]).await;
        self.run_ok(&["client", "tasks", "wait", &id]).await;
        self.run_ok(&["client", "tasks", "submit", "--wait", "--terminal", "--", "echo", "kept"]).await;
        assert!(self.run_ok(&["client", "tasks", "logs", "last"]).await.contains("kept"));

        let text = "x".repeat(100_000);
        let file = self.home.write("small.txt", &text);
        self.run_ok(&["client", "groups", "attachments", "upload", file.to_str().unwrap(), "small.txt"])
            .await;
        let copy = self.home.path().join("copy.txt");
        let download = ["client", "groups", "attachments", "download", "small.txt"];
        self.run_ok(&[&download[..], &["-o", copy.to_str().unwrap()]].concat()).await;
        assert_eq!(std::fs::read_to_string(copy).unwrap(), text);
    }
}

async fn coordinator(home: &Home, options: &[&str]) -> Coordinator {
    home.coordinator_with(&[&["--bind", "127.0.0.1:0", "--admin-password", PASSWORD], options].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_with_default_settings_needs_public_url_only() {
    let home = Home::new();
    let port = Nginx::free_port().unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let coordinator = coordinator(&home, &["--public-url", &address]).await;
    let server = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {}; }}\n\
         location /elsewhere/ {{ return 404; }} location /gone/ {{ return 504; }} }}",
        coordinator.address
    );
    let _nginx = Nginx::start(&server, &[port]).await.unwrap();
    let caller = Caller { home: &home, address: address.clone(), authority: None };
    caller.works().await;

    let large = home.write("large.bin", &"x".repeat(2_000_000));
    let upload = ["client", "groups", "attachments", "upload", large.to_str().unwrap(), "large.bin"];
    caller.expect_failure(&upload, 1, "client_max_body_size").await;

    let lost = Caller { home: &home, address: format!("{address}/elsewhere"), authority: None };
    lost.expect_failure(&["client", "auth"], 69, "no coordinator at").await;
    let slow = Caller { home: &home, address: format!("{address}/gone"), authority: None };
    slow.expect_failure(&["client", "auth"], 69, "(status 504)").await;
    coordinator.service.kill().await;
    caller.expect_failure(&["client", "auth"], 69, "(status 502)").await;
}

/// A proxy with an upstream sends the name of the upstream as the host.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_upstream_needs_no_setting_for_native_clients() {
    let home = Home::new();
    let port = Nginx::free_port().unwrap();
    let coordinator = coordinator(&home, &[]).await;
    let upstream = coordinator.address.strip_prefix("http://").unwrap();
    let server = format!(
        "upstream mito {{ server {upstream}; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://mito; }} }}"
    );
    let _nginx = Nginx::start(&server, &[port]).await.unwrap();
    Caller { home: &home, address: format!("http://127.0.0.1:{port}"), authority: None }.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_with_tls_serves_below_a_path() {
    let home = Home::new();
    let authority = Certificates::new().unwrap();
    let (certificate, key) = authority.server("nginx", &["127.0.0.1"]).unwrap();
    let coordinator = coordinator(&home, &["--trusted-proxies", "127.0.0.1"]).await;
    let (plain, secure) = (Nginx::free_port().unwrap(), Nginx::free_port().unwrap());
    let servers = format!(
        "server {{ listen 127.0.0.1:{plain}; return 301 https://127.0.0.1:{secure}$request_uri; }}\n\
         server {{ listen 127.0.0.1:{secure} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
         location /lab/ {{ proxy_pass {}/; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;\n\
         proxy_set_header X-Forwarded-Prefix /lab; }} }}",
        certificate.display(),
        key.display(),
        coordinator.address
    );
    let _nginx = Nginx::start(&servers, &[plain, secure]).await.unwrap();
    let ca = authority.authority();
    let caller =
        Caller { home: &home, address: format!("https://127.0.0.1:{secure}/lab/"), authority: Some(&ca) };
    caller.works().await;

    // A redirect to TLS keeps method, path and token.
    let redirected =
        Caller { home: &home, address: format!("http://127.0.0.1:{plain}/lab"), authority: Some(&ca) };
    redirected.works().await;

    let stranger = Caller { home: &home, address: caller.address.clone(), authority: None };
    stranger.expect_failure(&["client", "auth"], 69, "certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_to_another_host_is_not_followed() {
    let home = Home::new();
    let port = Nginx::free_port().unwrap();
    let server =
        format!("server {{ listen 127.0.0.1:{port}; return 302 https://login.example/?back=secret; }}");
    let _nginx = Nginx::start(&server, &[port]).await.unwrap();
    let caller = Caller { home: &home, address: format!("http://127.0.0.1:{port}"), authority: None };
    caller.expect_failure(&["client", "auth"], 78, "redirects to https://login.example").await;
}
