# lmer and glmer, of lme4 and of lmerTest.

fit_lmer <- function(arguments) {
  need("lme4")
  mixed(run(quote(lme4::lmer), arguments, c(list(REML = arguments$reml), going_on(arguments, lme4::lmerControl))))
}

fit_lmertest <- function(arguments) {
  need("lmerTest")
  mixed(run(quote(lmerTest::lmer), arguments, c(list(REML = arguments$reml), going_on(arguments, lme4::lmerControl))))
}

fit_glmer <- function(arguments) {
  need("lme4")
  mixed(run(quote(lme4::glmer), arguments, list(family = model_family(arguments), nAGQ = arguments$nodes)))
}

# glmer from given estimates on. Its own derivatives take steps of 1e-4 whatever the units: here they are replaced.
closely_glmer <- function(arguments) {
  need("lme4")
  exactly <- going_on(arguments, lme4::glmerControl, tolPwrss = 1e-13, nAGQ0initStep = FALSE)
  options <- c(list(family = model_family(arguments), nAGQ = arguments$nodes), exactly)
  model <- run(quote(lme4::glmer), arguments, options)
  answer <- mixed(model)
  deviance_at <- run(quote(lme4::glmer), arguments, c(options, list(devFunOnly = TRUE)))
  theta <- lme4::getME(model, "theta")
  beta <- seq_along(lme4::fixef(model)) + length(theta)
  free <- c(theta != 0 | lme4::getME(model, "lower") < 0, rep(TRUE, length(beta)))
  x <- c(theta, lme4::fixef(model))
  h <- 0.005 * c(arguments$units_theta, arguments$units_beta)
  H <- (4 * curvature(deviance_at, x, h) - curvature(deviance_at, x, 2 * h)) / 3
  inverse <- matrix(NA_real_, length(free), length(free))
  inverse[free, free] <- tryCatch(chol2inv(chol(H[free, free] / 2)), error = function(e) NA_real_)
  answer$covariance <- inverse[beta, beta, drop = FALSE]
  answer
}

# The Hessian of f at x by central differences of steps h.
curvature <- function(f, x, h) {
  at <- function(i, a, j, b) {
    x[i] <- x[i] + a * h[i]
    x[j] <- x[j] + b * h[j]
    f(x)
  }
  H <- matrix(0, length(x), length(x))
  for (i in seq_along(x)) for (j in seq_len(i)) {
    H[i, j] <- H[j, i] <- (at(i, 1, j, 1) - at(i, 1, j, -1) - at(i, -1, j, 1) + at(i, -1, j, -1)) / (4 * h[i] * h[j])
  }
  H
}

# lmer's and glmer's arguments to start at given estimates and to search in the units of these; none without a start.
going_on <- function(arguments, control, ...) {
  if (is.null(arguments$start_theta)) return(list())
  units <- c(arguments$units_theta, arguments$units_beta)
  search <- function(fn, par, lower, upper, control) {
    unit <- units[seq_along(par)]
    found <- minqa::bobyqa(par / unit, function(x) fn(x * unit), lower / unit, upper / unit,
                           control = list(rhobeg = 0.1, rhoend = 1e-7, maxfun = 5000))
    list(par = found$par * unit, fval = found$fval, conv = found$ierr, message = found$msg, feval = found$feval)
  }
  start <- list(theta = arguments$start_theta)
  if (identical(control, lme4::glmerControl)) start$fixef <- arguments$start_beta
  list(start = start, control = control(optimizer = search, calc.derivs = FALSE, ...))
}

tested_model <- function(arguments, packages) {
  need(packages)
  run(quote(lmerTest::lmer), arguments, c(list(REML = arguments$reml), going_on(arguments, lme4::lmerControl)))
}

# The adjusted covariance of the coefficients, of pbkrtest.
kenward_roger <- function(arguments) {
  model <- tested_model(arguments, c("lmerTest", "pbkrtest"))
  list(names = named(lme4::fixef(model)), covariance = unname(as.matrix(pbkrtest::vcovAdj(model))))
}

# F and its denominator's degrees of freedom for all rows of a contrast together, against `right`.
kenward_roger_test <- function(arguments) {
  model <- tested_model(arguments, c("lmerTest", "pbkrtest"))
  rows <- arguments$rows_of[, match(names(lme4::fixef(model)), arguments$columns_of), drop = FALSE]
  found <- lmerTest::contestMD(model, rows, ddf = "Kenward-Roger", rhs = as.double(arguments$right))
  list(statistic = as.double(found[["F value"]]), df = as.double(found[["DenDF"]]))
}

# lmerTest's table of the terms, by type III.
anova_of_terms <- function(arguments) {
  model <- tested_model(arguments, c("lmerTest", if (arguments$method == "Kenward-Roger") "pbkrtest"))
  found <- stats::anova(model, type = "III", ddf = arguments$method)
  column <- function(name) as.double(found[[name]])
  list(term = rownames(found), df = column("NumDF"), df_resid = column("DenDF"), sum_sq = column("Sum Sq"),
       mean_sq = column("Mean Sq"), statistic = column("F value"), p_value = column("Pr(>F)"))
}

# Degrees of freedom of each row of `contrasts` (q, p), whose columns are named.
degrees <- function(arguments) {
  model <- tested_model(arguments, c("lmerTest", if (arguments$method == "Kenward-Roger") "pbkrtest"))
  rows <- arguments$rows_of[, match(names(lme4::fixef(model)), arguments$columns_of), drop = FALSE]
  one <- function(i) lmerTest::contest1D(model, rows[i, ], ddf = arguments$method)$df
  list(df = as.double(vapply(seq_len(nrow(rows)), one, 0)))
}

mixed <- function(model) {
  all <- lme4::fixef(model, add.dropped = TRUE)
  kept <- lme4::fixef(model)
  conv <- model@optinfo$conv
  reml <- lme4::isREML(model)
  c(likelihood(model), list(
    names = named(all), beta = as.double(all), kept = named(kept),
    covariance = unname(as.matrix(stats::vcov(model))),
    matrix = unname(as.matrix(lme4::getME(model, "X"))), columns = named(kept),
    deviance = as.double(if (reml) lme4::REMLcrit(model) else stats::deviance(model)),
    df_resid = as.double(stats::df.residual(model)), sigma = stats::sigma(model),
    eta = as.double(if (lme4::isGLMM(model)) model@resp$eta else stats::fitted(model)),
    # a code below 0 is lme4's own complaint; a singular fit has none
    converged = identical(as.integer(conv$opt), 0L) && !any(unlist(conv$lme4$code) < 0),
    iterations = as.double(max(model@optinfo$feval, 0, na.rm = TRUE)),
    theta = as.double(lme4::getME(model, "theta")), random = random_terms(model)
  ))
}

# One item a term, in lme4's order. Terms that share a grouping factor are kept apart, where ranef() joins them.
random_terms <- function(model) {
  labels <- lme4::getME(model, "cnms")
  factors <- lme4::getME(model, "flist")
  owner <- attr(factors, "assign")
  start <- lme4::getME(model, "Gp")
  effects <- as.double(lme4::getME(model, "b"))
  spread <- lme4::VarCorr(model)
  joined <- lme4::ranef(model, condVar = TRUE)
  lapply(seq_along(labels), function(k) {
    groups <- factors[[owner[k]]]
    about <- attr(joined[[names(factors)[owner[k]]]], "postVar")
    if (is.list(about)) about <- about[[match(k, which(owner == owner[k]))]]
    list(group = names(labels)[k], columns = labels[[k]], levels = levels(groups), codes = as.integer(groups),
         covariance = matrix(as.double(spread[[k]]), length(labels[[k]])),
         modes = matrix(effects[(start[k] + 1):start[k + 1]], length(labels[[k]])),
         about = as.double(about))
  })
}

# The matrices alone, unfitted: X, and Z' as its columns of pointers, rows and values.
matrices <- function(arguments) {
  need("lme4")
  parts <- if (arguments$family == "gaussian" && arguments$link == "identity") {
    run(quote(lme4::lFormula), arguments)
  } else {
    run(quote(lme4::glFormula), arguments, list(family = model_family(arguments)))
  }
  Zt <- parts$reTrms$Zt
  list(matrix = unname(parts$X), columns = colnames(parts$X), pointers = Zt@p, indices = Zt@i, values = Zt@x,
       levels = as.double(nrow(Zt)), groups = names(parts$reTrms$cnms))
}
