//! What every store promises, one story per promise.
//!
//! A story is a function of a [`Stage`](crate::stage::Stage). [`conformance!`] makes a test of each for
//! one backend, and ends each with a look into the books. A story that is missing in its list is
//! reported as unused code.

pub(crate) mod dispatch;

/// Tells every story on one backend: `conformance!(name: Type)`.
macro_rules! conformance {
    ($backend:ident: $type:ty) => {
        mod $backend {
            $crate::conformance::tell! { $type;
                dispatch {
                    a_task_goes_its_way_from_submission_to_its_end,
                }
            }
        }
    };
}

macro_rules! tell {
    ($type:ty; $($subject:ident { $($story:ident),* $(,)? })*) => {$(
        mod $subject {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let mut stage = $crate::stage::Stage::<$type>::set_up().await;
                $crate::conformance::$subject::$story(&mut stage).await;
                stage.check_books().await;
            }
        )*}
    )*};
}

pub(crate) use {conformance, tell};
