# lm and glm.

fit_lm <- function(arguments) linear(run(quote(stats::lm), arguments), dispersion = NULL)

fit_glm <- function(arguments) {
  model <- run(quote(stats::glm), arguments, list(family = model_family(arguments)))
  linear(model, summary(model)$dispersion)
}

linear <- function(model, dispersion) {
  covariance <- stats::vcov(model, complete = FALSE)
  beta <- stats::coef(model)
  glm <- inherits(model, "glm")
  c(likelihood(model), list(
    names = named(beta), beta = as.double(beta), kept = names(beta)[!is.na(beta)], covariance = unname(covariance),
    matrix = unname(stats::model.matrix(model)), columns = colnames(stats::model.matrix(model)),
    deviance = stats::deviance(model), df_resid = as.double(stats::df.residual(model)),
    sigma = if (glm) sqrt(dispersion) else stats::sigma(model),
    eta = as.double(if (glm) model$linear.predictors else stats::fitted(model)),
    converged = !glm || model$converged, iterations = as.double(if (glm) model$iter else 0)
  ))
}
