# lm and glm.

fit_lm <- function(arguments) linear(run(quote(stats::lm), arguments), dispersion = NULL)

fit_glm <- function(arguments) {
  once <- function(start) {
    run(quote(stats::glm), arguments, c(list(family = model_family(arguments)), if (length(start)) list(start = start)))
  }
  model <- again(once(arguments$start_beta), arguments$rounds, function(model) once(known(model)))
  theta <- identical(arguments$family, "nbinom2")  # which is given, and leaves no dispersion to estimate
  linear(model, if (theta) 1 else summary(model)$dispersion)
}

# The negative binomial with its theta estimated; an offset given beside the formula joins it: glm.nb has no argument
# for one.
fit_glm_nb <- function(arguments) {
  beside <- if (!is.null(arguments$offset)) quote(.fn_offset)
  once <- function(start, theta) {
    options <- c(list(link = as.name(arguments$link)), if (length(start)) list(start = start),
                 if (!is.null(theta)) list(init.theta = theta))
    run(quote(MASS::glm.nb), arguments, options, beside)
  }
  first <- once(arguments$start_beta, NULL)
  model <- again(first, arguments$rounds, function(model) once(known(model), model$theta))
  answer <- linear(model, 1)
  answer$converged <- answer$converged && is.null(model$th.warn)  # set where the last search for theta did not end
  c(answer, list(nb_theta = model$theta, nb_theta_se = model$SE.theta))
}

# Each round starts where the last one ended. A smaller epsilon would do as well, but glm() lowers the tolerance of its
# rank with it, until no column is dropped any more.
again <- function(model, rounds, once) {
  for (i in seq_len(if (is.null(rounds)) 0 else rounds)) model <- once(model)
  model
}

known <- function(model) {
  beta <- stats::coef(model)
  replace(beta, is.na(beta), 0)
}

linear <- function(model, dispersion) {
  beta <- stats::coef(model)
  glm <- inherits(model, "glm")
  counts <- glm && startsWith(model$family$family, "Negative Binomial")  # whose dispersion vcov() would estimate
  covariance <- if (counts) stats::summary.glm(model, 1)$cov.scaled else stats::vcov(model, complete = FALSE)
  c(likelihood(model), list(
    names = named(beta), beta = as.double(beta), kept = named(beta)[!is.na(beta)], covariance = unname(covariance),
    matrix = unname(stats::model.matrix(model)), columns = as.character(colnames(stats::model.matrix(model))),
    deviance = stats::deviance(model), df_resid = as.double(stats::df.residual(model)),
    sigma = if (glm) sqrt(dispersion) else stats::sigma(model),
    eta = as.double(if (glm) model$linear.predictors else stats::fitted(model)),
    null_deviance = if (glm) model$null.deviance else NaN,
    converged = !glm || model$converged, iterations = as.double(if (glm) model$iter else 0)
  ))
}
