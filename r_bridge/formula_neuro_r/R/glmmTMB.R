# glmmTMB: Laplace's approximation with automatic derivatives.

fit_glmmtmb <- function(arguments) {
  need("glmmTMB")
  made <- list(nbinom1 = glmmTMB::nbinom1, nbinom2 = glmmTMB::nbinom2, beta = glmmTMB::beta_family,
               betabinomial = glmmTMB::betabinomial)[[arguments$family]]
  family <- if (is.null(made)) model_family(arguments) else made(link = arguments$link)
  control <- glmmTMB::glmmTMBControl(rank_check = "adjust", optCtrl = list(iter.max = 1000, eval.max = 2000))
  formula <- str2lang(arguments$formula)
  # its own reading of two bars joins what lme4 keeps apart
  if ("||" %in% all.names(formula)) arguments$formula <- deparse1(lme4::expandDoubleVerts(formula))
  zeros <- stats::as.formula(if (is.null(arguments$zeros)) "~0" else arguments$zeros, env = surroundings(arguments))
  model <- run(quote(glmmTMB::glmmTMB), arguments,
               list(family = family, REML = isTRUE(arguments$reml), control = control, ziformula = zeros))
  inflation <- glmmTMB::fixef(model)$zi
  kept <- glmmTMB::fixef(model)$cond
  known <- is.finite(kept)
  X <- glmmTMB::getME(model, "X")
  shaped <- !is.null(made)
  dispersion <- summary(model$sdr, "fixed")
  c(likelihood(model), list(
    names = named(kept), beta = as.double(kept), kept = names(kept)[known],
    covariance = unname(as.matrix(stats::vcov(model)$cond)[known, known, drop = FALSE]),
    matrix = unname(as.matrix(X)), columns = colnames(X), deviance = -2 * as.double(stats::logLik(model)),
    df_resid = as.double(stats::df.residual(model)), sigma = stats::sigma(model),
    nb_theta = if (shaped) stats::sigma(model),
    nb_theta_se = if (shaped) stats::sigma(model) * dispersion["betad", "Std. Error"],  # of its logarithm
    eta = as.double(stats::predict(model, type = "link")),
    converged = model$fit$convergence == 0 && isTRUE(model$sdr$pdHess), iterations = as.double(model$fit$iterations),
    random = random_of_tmb(model),
    zi_names = if (length(inflation)) names(inflation), zi = if (length(inflation)) as.double(inflation),
    zi_covariance = if (length(inflation)) unname(as.matrix(stats::vcov(model)$zi))
  ))
}

# One item a term. Conditional covariances of the modes are not given: glmmTMB's hold the fixed effects' errors too.
random_of_tmb <- function(model) {
  made <- model$modelInfo$reTrms$cond
  effects <- model$obj$env$parList(model$fit$par, model$fit$parfull)$b
  owner <- attr(made$flist, "assign")
  spread <- glmmTMB::VarCorr(model)$cond
  last <- 0
  lapply(seq_along(made$cnms), function(k) {
    groups <- made$flist[[owner[k]]]
    size <- length(made$cnms[[k]])
    at <- last + seq_len(size * nlevels(groups))
    last <<- max(at)
    list(group = names(made$cnms)[k], columns = made$cnms[[k]], levels = levels(groups), codes = as.integer(groups),
         covariance = matrix(as.double(spread[[k]]), size), modes = matrix(effects[at], size),
         about = rep(NA_real_, size^2 * nlevels(groups)))
  })
}
