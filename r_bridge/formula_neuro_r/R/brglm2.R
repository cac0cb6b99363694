# Bias-reduced generalized linear models of brglm2.

# brglmFit itself, on the frame that glm() makes: glm(method = "brglmFit") would add two fits for a null deviance,
# which fail on responses that are all 0. An offset that is given, if only of zeros, spares brglmFit's own.
fit_brglm2 <- function(arguments) {
  family <- model_family(arguments)
  frame <- run(quote(stats::glm), arguments, list(family = family, method = "model.frame"))
  terms <- attr(frame, "terms")
  x <- stats::model.matrix(terms, frame, asked_contrasts(arguments))
  y <- stats::model.response(frame, "any")
  offset <- stats::model.offset(frame)
  weights <- stats::model.weights(frame)
  fit <- quietly_started(brglm2::brglmFit(
    x, y, if (is.null(weights)) rep(1, NROW(y)) else weights, start = arguments$start_beta,
    offset = if (is.null(offset)) rep(0, NROW(y)) else as.vector(offset), family = family,
    intercept = attr(terms, "intercept") > 0,
    control = list(type = arguments$type, a = arguments$power, epsilon = 1e-10, maxit = 2000)
  ))
  model <- structure(c(fit[names(fit) != "class"], list(x = x, terms = terms)), class = c("brglmFit", "glm", "lm"))
  answer <- linear(model, model$dispersion)
  answer$null_deviance <- NaN  # with an offset given, brglmFit puts the deviance in its place
  left <- left_over(model, answer$covariance, answer$kept)
  # on the way to infinity its steps overflow and then count as none
  answer$converged <- (model$converged || left < 1e-9) && all(abs(model$linear.predictors) < 1e8)
  if (!answer$converged) {
    warning(sprintf("brglm2 stopped after %d iterations, %.1e standard errors from a root of the adjusted score",
                    model$iter, left), call. = FALSE)
  }
  answer
}

# Its start weights the responses by fractions of a trial, which binomial() remarks on; that it did not converge is
# said in standard errors instead, as its own rule depends on the units of the coefficients and of the dispersion.
quietly_started <- function(fit) {
  withCallingHandlers(fit, warning = function(w) {
    text <- conditionMessage(w)
    known <- identical(text, "non-integer #successes in a binomial glm!") ||
      startsWith(text, "brglmFit: algorithm did not converge")
    if (known) invokeRestart("muffleWarning")
  })
}

# sqrt(g'V g) of the adjusted score g: how far one more step goes.
left_over <- function(model, covariance, kept) {
  g <- model$grad[kept]
  left <- sqrt(drop(g %*% covariance %*% g))
  if (is.finite(left)) left else Inf
}
