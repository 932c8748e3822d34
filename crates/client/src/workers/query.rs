//! Queries workers.

use mitosis_protocol::worker::{QueryWorkersReply, QueryWorkersRequest};
use reqwest::Method;

use crate::{ClientError, UserClient};

impl UserClient {
    /// `POST /workers/query`: all pages, unless the query has a limit.
    pub async fn query_workers(&self, query: &QueryWorkersRequest) -> Result<QueryWorkersReply, ClientError> {
        let mut found = self.page_of_workers(query).await?;
        let mut next = next_page(query, &found);
        while let Some(query) = next {
            let more = self.page_of_workers(&query).await?;
            next = next_page(&query, &more);
            found.count += more.count;
            found.workers.extend(more.workers);
            found.next = more.next;
        }
        Ok(found)
    }

    async fn page_of_workers(&self, query: &QueryWorkersRequest) -> Result<QueryWorkersReply, ClientError> {
        self.call(Method::POST, "/workers/query").json(query).read().await
    }
}

fn next_page(query: &QueryWorkersRequest, page: &QueryWorkersReply) -> Option<QueryWorkersRequest> {
    match (page.next, query.limit) {
        (Some(next), None) => Some(QueryWorkersRequest { after: Some(next), ..query.clone() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pages_are_requested_without_a_limit() {
        let page = |next| QueryWorkersReply { count: 0, workers: vec![], group_name: String::new(), next };
        let all = QueryWorkersRequest::default();
        let next = next_page(&all, &page(Some(7))).unwrap();
        assert_eq!(next.after, Some(7));
        assert!(next_page(&next, &page(None)).is_none());
        let some = QueryWorkersRequest { limit: Some(10), ..all };
        assert!(next_page(&some, &page(Some(7))).is_none());
    }
}
