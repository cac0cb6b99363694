# lm and glm.

fit_lm <- function(arguments) linear(run(quote(stats::lm), arguments), dispersion = NULL)

fit_glm <- function(arguments) {
  model <- run(quote(stats::glm), arguments, c(list(family = model_family(arguments)), glm_control(arguments)))
  known <- identical(arguments$family, "nbinom2")  # a theta that is given leaves no dispersion to estimate
  linear(model, if (known) 1 else summary(model)$dispersion)
}

# The negative binomial with its theta estimated; an offset given beside the formula joins it: glm.nb has no argument
# for one.
fit_glm_nb <- function(arguments) {
  beside <- if (!is.null(arguments$offset)) quote(.fn_offset)
  options <- c(list(link = as.name(arguments$link)), glm_control(arguments))
  model <- run(quote(MASS::glm.nb), arguments, options, beside)
  c(linear(model, 1), list(nb_theta = model$theta, nb_theta_se = model$SE.theta))
}

# R's own settings, unless others were sent.
glm_control <- function(arguments) {
  if (is.null(arguments$epsilon)) return(list())
  list(control = stats::glm.control(epsilon = arguments$epsilon, maxit = arguments$maxit))
}

linear <- function(model, dispersion) {
  beta <- stats::coef(model)
  glm <- inherits(model, "glm")
  counts <- glm && startsWith(model$family$family, "Negative Binomial")  # whose dispersion vcov() would estimate
  covariance <- if (counts) stats::summary.glm(model, 1)$cov.scaled else stats::vcov(model, complete = FALSE)
  c(likelihood(model), list(
    names = named(beta), beta = as.double(beta), kept = names(beta)[!is.na(beta)], covariance = unname(covariance),
    matrix = unname(stats::model.matrix(model)), columns = colnames(stats::model.matrix(model)),
    deviance = stats::deviance(model), df_resid = as.double(stats::df.residual(model)),
    sigma = if (glm) sqrt(dispersion) else stats::sigma(model),
    eta = as.double(if (glm) model$linear.predictors else stats::fitted(model)),
    null_deviance = if (glm) model$null.deviance else NaN,
    converged = !glm || model$converged, iterations = as.double(if (glm) model$iter else 0)
  ))
}
